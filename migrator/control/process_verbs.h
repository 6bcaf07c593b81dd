// SPDX-License-Identifier: Apache-2.0
//
// The verbs about processes: where they are, what keeps them at home, moving them, looking at them.
#pragma once

#include <memory>
#include <vector>

#include "migrator/control/subjects.h"

namespace om::migrator {

class ProcessVerbs {
 public:
  ProcessVerbs(const Services& services, const Subjects& subjects)
      : services_(services), subjects_(subjects) {}

  void migrate(const Caller&, const Json&, Answerer);
  void stack(const Caller&, const Json&, Answerer);
  void trace(const Caller&, const Json&, Answerer);
  void ps(const Caller&, const Json&, Answerer);
  void where(const Caller&, const Json&, Answerer);
  void why(const Caller&, const Json&, Answerer);
  void events(const Caller&, const Json&, Answerer);
  // What happened to a process; answered once it no longer has a deputy.
  void epitaph(const Caller&, const Json&, Answerer);

  // Called by Deputies: this process no longer has a deputy.
  void on_deputy_gone(pid_t pid);

 private:
  // A request that waits until a process no longer has a deputy.
  struct Mourner {
    pid_t pid = 0;
    Answerer answer;
    std::unique_ptr<Timer> timer;
  };

  Json describe(const Caller& caller, const ProcessInfo& process) const;

  const Services& services_;
  const Subjects& subjects_;
  std::vector<std::unique_ptr<Mourner>> mourners_;
};

}  // namespace om::migrator
