// SPDX-License-Identifier: Apache-2.0
//
// What the control socket's verbs do: checks the request and the caller's right, asks the parts of the node,
// answers. Who may kill a process may migrate it: the caller's uid must be 0 or the process's own. Verbs that
// change the node itself (peers.set, peers.reload, recall) are for root and for the daemon's own user.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "migrator/control/control_server.h"
#include "migrator/node.h"
#include "migrator/processes/newcomers.h"

namespace om::migrator {

class Verbs {
 public:
  using Answerer = ControlServer::Answerer;

  explicit Verbs(Node& node) : node_(node), newcomers_(node.loop_, node.clock_) {}

  void handle(const Caller& caller, const Json& request, Answerer answer);

  // deputy.attach: a deputy that outlived an earlier daemon.
  bool adopt(const Caller& caller, const Json& request, std::unique_ptr<JsonStream>& stream);

  void on_deputy_gone(pid_t pid);

 private:
  using Method = void (Verbs::*)(const Caller&, const Json&, Answerer);
  struct Subject {
    ProcessInfo process;
    bool member = false;   // preloaded and of this node, or has a deputy
    bool readable = true;  // false: the kernel does not let us look (not dumpable)
  };
  // Somebody who waits until a process has no deputy any more.
  struct Mourner {
    pid_t pid = 0;
    Answerer answer;
    std::unique_ptr<Timer> timer;
  };

  void version(const Caller&, const Json&, Answerer);
  void migrate(const Caller&, const Json&, Answerer);
  void trace(const Caller&, const Json&, Answerer);
  void stack(const Caller&, const Json&, Answerer);
  void ps(const Caller&, const Json&, Answerer);
  void where(const Caller&, const Json&, Answerer);
  void why(const Caller&, const Json&, Answerer);
  void nodes(const Caller&, const Json&, Answerer);
  void events(const Caller&, const Json&, Answerer);
  void epitaph(const Caller&, const Json&, Answerer);
  void reload_peers(const Caller&, const Json&, Answerer);
  void set_peers(const Caller&, const Json&, Answerer);
  void recall(const Caller&, const Json&, Answerer);
  void debug(const Caller&, const Json&, Answerer);
  void refuse_attach(const Caller&, const Json&, Answerer);

  // The process that a request is about, or the answer that there is none. `owner_only`: the caller must be
  // allowed to kill it.
  Json not_ours(pid_t pid, const std::string& guest, bool owner_only) const;
  std::optional<Subject> subject(const Caller& caller, const Json& request, bool owner_only,
                                 const Answerer& answer);
  void look_first(const Caller& caller, const Json& request, std::function<void()> then);
  ProcessTable::Membership membership(pid_t pid) const;
  bool admin(const Caller& caller, const Answerer& answer) const;
  Json describe(const ProcessInfo& process) const;

  Node& node_;
  Newcomers newcomers_;
  std::pair<pid_t, ProcessTable::Membership>
      looked_;  // what look_first() has found, for the function that it calls
  int64_t last_debug_id_ = int64_t{1} << 40;  // apart from the MoveQueue's numbers
  std::map<int64_t, std::unique_ptr<Timer>> debug_timers_;
  std::vector<std::unique_ptr<Mourner>> mourners_;
};

}  // namespace om::migrator
