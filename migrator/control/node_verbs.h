// SPDX-License-Identifier: Apache-2.0
//
// The verbs about nodes: this one and its peers.
#pragma once

#include <optional>

#include "common/base/clock.h"
#include "migrator/control/drain.h"
#include "migrator/control/remote_control.h"
#include "migrator/control/subjects.h"

namespace om::migrator {

class NodeVerbs {
 public:
  NodeVerbs(const Services& services, Drain& drain, RemoteControl& remote)
      : services_(services), drain_(drain), remote_(remote) {}

  void version(const Caller&, const Json&, Answerer);
  void nodes(const Caller&, const Json&, Answerer);
  // About one node ("node"; by default this one): what it reports, and why it takes nobody now. About this one also how
  // guests are confined here.
  void info(const Caller&, const Json&, Answerer);

  // The others change the node: only for those who administer it, which verbs.cc sees to.
  void reload_peers(const Caller&, const Json&, Answerer);
  void reload_credentials(const Caller&, const Json&, Answerer);
  void set_peers(const Caller&, const Json&, Answerer);
  // Brings home every process that is away.
  void recall(const Caller&, const Json&, Answerer);
  // Empties the node, which takes nobody until undrain. With "node" another one, if that lets members do it.
  void drain(const Caller&, const Json&, Answerer);
  void undrain(const Caller&, const Json&, Answerer);

 private:
  void info_of_self(Answerer answer);
  void info_of_peer(const std::string& name, const Answerer& answer);

  const Services& services_;
  Drain& drain_;
  RemoteControl& remote_;
  // What try_namespaces() said; asked again after a while, because every look forks.
  std::optional<Result<void>> namespaces_;
  MonotonicTime looked_{};
};

}  // namespace om::migrator
