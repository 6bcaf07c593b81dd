// SPDX-License-Identifier: Apache-2.0
//
// The verbs of the control socket, in one table: the function that serves each, what must happen before, and whether it
// is for those only who administer this node. The functions are in classes by subject: process_verbs.cc, node_verbs.cc,
// cluster_verbs.cc, deputy_verbs.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "migrator/control/cluster_verbs.h"
#include "migrator/control/deputy_verbs.h"
#include "migrator/control/guest_verbs.h"
#include "migrator/control/node_verbs.h"
#include "migrator/control/process_verbs.h"
#include "migrator/control/remote_control.h"
#include "migrator/processes/newcomers.h"

namespace om::migrator {

class Verbs {
 public:
  Verbs(Services services, const Clock& clock);

  void handle(const Caller& caller, const Json& request, Answerer answer);
  bool attach(const Caller& caller, const Json& request, std::unique_ptr<JsonStream>& stream) {
    return deputy_verbs_.attach(caller, request, stream);
  }
  Drain& drain() { return drain_; }
  RemoteControl& remote_control() { return remote_control_; }
  void on_deputy_gone(pid_t pid) { process_verbs_.on_deputy_gone(pid); }

 private:
  using Run = std::function<void(const Caller&, const Json&, Answerer)>;
  // What to do first for a verb about a process ("pid"), besides waiting until it runs its program.
  enum class First {
    kLook,           // find out whether it is one of this node's
    kLookWhenWhole,  // the same, after libom's constructor has run
    kNothing,        // only records about it matter
  };
  struct Verb {
    First first;
    Run run;
  };
  std::map<std::string, Verb, std::less<>> make_table();

  const Services services_;
  Drain drain_;
  RemoteControl remote_control_;
  Newcomers newcomers_;
  Subjects subjects_;
  ProcessVerbs process_verbs_;
  NodeVerbs node_verbs_;
  GuestVerbs guest_verbs_;
  ClusterVerbs cluster_verbs_;
  DeputyVerbs deputy_verbs_;
  const std::map<std::string, Verb, std::less<>> table_;
};

}  // namespace om::migrator
