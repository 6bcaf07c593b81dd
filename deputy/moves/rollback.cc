// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/rollback.h"

#include <kj/common.h>

#include <vector>

#include "common/base/log.h"
#include "deputy/home/executors.h"
#include "deputy/home/plan_threads.h"
#include "deputy/home/threads_back.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

// A body that has acted, or whose home has no memory any more, cannot be undone. Preconditions: `home.state` is fresh.
Step can_be_undone(const HomeState& state) {
  if (state.effectful != 0) return refuse(ReasonCode::kInternal, "the body has acted already");
  if (state.dropped != 0) return refuse(ReasonCode::kInternal, "home's memory has been given back");
  return Done{};
}

}  // namespace

Step roll_back(Process& process, const std::string& why) {
  HomeSide& home = process.home;
  ThreadPlans& plans = process.plans;
  KJ_DEFER(let_executors_answer(home));
  OM_TRY(hold_executors(home));
  StoppedProcess stop = OM_TRY(stop_executors(home));
  home.state = OM_MUST(home.target->home());
  OM_TRY(can_be_undone(home.state));
  OM_TRY(settle_executors(home, stop, Unbegun::kForget));
  // One that was stopped on its way to a call has made it since.
  home.state = OM_MUST(home.target->home());
  OM_TRY(can_be_undone(home.state));
  OM_TRY(guard_executors(home, stop));
  if (plans.threads.empty()) plans = OM_TRY(recall_plans(home, stop));
  std::vector<ThreadState> states;
  for (const auto& plan : plans.threads) states.push_back(plan.state);
  OM_TRY(restore_threads(home, stop, states, plans.xsaves, 0, process.around.note));
  log_warn("rollback", "process {}: {}; it goes on at home", home.pid, why);
  process.come_back();
  return Done{};
}

}  // namespace om::deputy
