// SPDX-License-Identifier: Apache-2.0
//
// The verbs about guests of this node, and about all processes of a user: "guests", "expel", "bring".
#pragma once

#include <list>
#include <vector>

#include "migrator/control/subjects.h"

namespace om::migrator {

class GuestVerbs {
 public:
  explicit GuestVerbs(const Services& services) : services_(services) {}

  // Who is here: {"pid" (of its body, 0: it has none yet), "home", "home_pid", "uid", "command", "threads",
  // "rss_bytes", "cpu_s", "since" (Unix time)} each.
  void list(const Caller&, const Json&, Answerer);
  // Sends the guest with the body "guest" home, or all of them: asks their homes to take them back, and answers when
  // they are gone or after "timeout_ms", with {"gone", "left": as for list}. Only for those who administer the node.
  // Guests are not kept from coming again.
  void expel(const Caller&, const Json&, Answerer);
  // Brings home all processes of this node that the caller may move. Answers as "recall".
  void bring(const Caller&, const Json&, Answerer);

 private:
  struct Expulsion {
    explicit Expulsion(Loop& loop) : timer(loop) {}
    Timer timer;
    MonotonicTime deadline{}, asked{};
    std::vector<Keepers::Guest> guests;
    size_t gone = 0;
    Answerer answer;
  };
  Json describe(const Caller& caller, const Keepers::Guest& guest) const;
  void look(std::list<Expulsion>::iterator at, const Caller& caller);

  const Services& services_;
  std::list<Expulsion> under_way_;
};

}  // namespace om::migrator
