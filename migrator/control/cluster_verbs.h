// SPDX-License-Identifier: Apache-2.0
//
// The verbs about the cluster: making, joining and leaving it, its members, its CA, and the tokens that let machines
// in. All but cluster.status are for those who administer the node, which verbs.cc sees to.
#pragma once

#include <optional>

#include "migrator/control/drain.h"
#include "migrator/control/subjects.h"

namespace om::migrator {

class ClusterVerbs {
 public:
  ClusterVerbs(const Services& services, Drain& drain) : services_(services), drain_(drain) {}

  void init(const Caller&, const Json&, Answerer);
  void join(const Caller&, const Json&, Answerer);
  void status(const Caller&, const Json&, Answerer);
  void leave(const Caller&, const Json&, Answerer);
  void renew(const Caller&, const Json&, Answerer);
  void remove(const Caller&, const Json&, Answerer);
  void export_ca(const Caller&, const Json&, Answerer);
  void import_ca(const Caller&, const Json&, Answerer);

  void create_token(const Caller&, const Json&, Answerer);
  void list_tokens(const Caller&, const Json&, Answerer);
  void revoke_token(const Caller&, const Json&, Answerer);

 private:
  const Services& services_;
  Drain& drain_;
  bool leaving_ = false;
};

}  // namespace om::migrator
