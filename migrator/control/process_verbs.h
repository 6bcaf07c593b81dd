// SPDX-License-Identifier: Apache-2.0
//
// The verbs that are about processes: where they are, what keeps them, move them, look at them.
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
  // What happened to a process, once it has no deputy any more.
  void epitaph(const Caller&, const Json&, Answerer);

  // Deputies says: no deputy for this process any more.
  void on_deputy_gone(pid_t pid);

 private:
  // Somebody who waits until a process has no deputy any more.
  struct Mourner {
    pid_t pid = 0;
    Answerer answer;
    std::unique_ptr<Timer> timer;
  };

  Json describe(const ProcessInfo& process) const;

  const Services& services_;
  const Subjects& subjects_;
  std::vector<std::unique_ptr<Mourner>> mourners_;
};

}  // namespace om::migrator
