// SPDX-License-Identifier: Apache-2.0
//
// Node verbs about another node. They go through its daemon: the caller must administer the node that it asks
// (verbs.cc), that node is known there by its certificate, and the node in question must have remote_control = "node".
// Nothing is done in the name of a user.
#pragma once

#include <functional>
#include <string>

#include "common/tls/certificate.h"
#include "common/uv/task_errors.h"
#include "common/uv/uvkj.h"
#include "migrator/control/drain.h"
#include "migrator/control/subjects.h"
#include "migrator/peers/emptied.h"

namespace om::migrator {

// The answer to node.drain, from what Drain says.
Json drain_answer(Json drained);

class RemoteControl {
 public:
  RemoteControl(const Services& services, Drain& drain)
      : services_(services), drain_(drain), tasks_(kj::heap<kj::TaskSet>(errors_)) {}

  // What a user of this node wants of another one. Failures: NO_SUCH_NODE, TARGET_UNREACHABLE, VERSION for a daemon
  // that knows no such question, and those of that node.
  void drain_other(const std::string& node, Milliseconds limit, Answerer answer);
  void undrain_other(const std::string& node, Answerer answer);

  // What another member wants of this node.
  kj::Promise<EmptyAnswer> drain(const Certificate& peer, Milliseconds limit);
  OpenAnswer undrain(const Certificate& peer);

 private:
  // `ask` gives what is answered.
  using Ask = std::function<kj::Promise<Json>(wire::Member::Client node)>;
  void ask_other(const std::string& node, Answerer answer, Ask ask);
  std::optional<Failure> refuse(const Certificate& peer, const char* what) const;

  const Services& services_;
  Drain& drain_;
  TaskErrors errors_{"remote", LogLevel::kError};
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::migrator
