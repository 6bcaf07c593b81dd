// SPDX-License-Identifier: Apache-2.0
//
// Takes over a process whose deputy has died. Everything needed is in the process (HomeState, slots) and in the little
// that om-migrator knows: where it is, the keys, the port on which the keeper will look for us.
//
//   HomeState.phase      what is found                            what follows
//   native               at home, or another program (execve)     nothing to do
//   captured             the departure had not been decided       its threads go back by themselves
//   away                 executors wait, or want channels         as after a lost connection (session/watch.cc)
//   returning            memory is home, some threads have left   the return is completed
//
// A keeper that was never told to let the body run ends it when its session ends; then nobody connects, and the process
// goes on at home from what it still holds (rollback.cc).
#pragma once

#include <string>
#include <string_view>

#include "deputy/process.h"

namespace om::deputy {

// The earlier deputy left the process at `at`, or (`moving`) on its way. KJ exception if it cannot be taken over now;
// om-migrator then tries again with another deputy.
void take_over(Process& process, const std::string& at, const SessionTerms& terms, bool moving);

// Makes the connection with libom. If a homecoming was given up halfway, lets finished calls be answered. If something
// keeps the threads from stopping (is_in_the_way), they are met later.
Step meet_executors(Process& process);

class Takeover {
 public:
  struct From {
    const std::string& at;
    const SessionTerms& terms;
    bool moving;
  };
  // `process` outlives the object.
  Takeover(Process& process, const From& from)
      : process_(process), home_(process.home), session_(process.session), from_(from) {}

  Step run();
  // There is nothing to take over.
  void is_at_home(std::string_view why);

 private:
  Step find_undone();
  Step open_home();
  void watch();
  Step complete_return();
  Step complete_return_once();
  Step put_stepped_mask_back();
  void end_parked_body();

  Process& process_;
  HomeSide& home_;
  Session& session_;
  From from_;
};

}  // namespace om::deputy
