// SPDX-License-Identifier: Apache-2.0
#include "deputy/attend.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "common/base/log.h"
#include "deputy/moves/homecoming.h"
#include "deputy/moves/rollback.h"
#include "deputy/moves/takeover.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kHomeRetry = 200 * kj::MILLISECONDS;
constexpr auto kRollBackLimit = std::chrono::seconds(30);
constexpr auto kRollBackAgain = 200 * kj::MILLISECONDS;

void keeper_is_lost(Process& process) {
  const std::string lost = process.at();  // a rollback changes it
  const auto limit = Clock::now() + kRollBackLimit;
  // Home still has everything: wait for threads that do not stop as long as they live.
  for (bool in_the_way = false;
       !body_has_acted(process.home) && (in_the_way || Clock::now() < limit);) {
    Step back = roll_back(process, "node " + lost + " was lost before the body had done anything");
    if (back.ok()) {
      process.around.note(
          ReasonCode::kNodeLost,
          fmt::format("process {} goes on at home: node {} was lost", process.home.pid, lost));
      process.say(wire::State::HOME);
      return;
    }
    if (!in_the_way) log_error("watch", "process {}: {}", process.home.pid, back.error().message());
    in_the_way = is_in_the_way(back.error().code);
    process.io.provider->getTimer().afterDelay(kRollBackAgain).wait(process.io.waitScope);
    if (process.watch()->noticed().process_gone || process.watch()->noticed().exec) return;
  }
  // No libom there: the process has become another program or is ending, which is about to be noticed.
  if (!process.home.target->home()) {
    process.watch()->noticed().exec = true;
    return process.notice.happened();
  }
  const std::string why =
      process.watch()->noticed().body_end.empty()
          ? fmt::format("process {} was lost with node {}: its state was there", process.home.pid,
                        lost)
          : fmt::format("process {} was lost at node {}, where its body was {}", process.home.pid,
                        lost, process.watch()->noticed().body_end);
  log_error("watch", "{}", why);
  process.around.note(ReasonCode::kNodeLost, why);
  if (process.pidfd.valid())
    ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), SIGKILL, nullptr, 0);
  process.come_back();
}

void come_home_as_noticed(Process& process) {
  const Watch::Noticed noticed = process.watch()->noticed();  // a return ends the watch
  process.watch()->noticed().evicted.reset();
  const MoveRecord record = come_home(process);
  if (record.moved() && noticed.evicted && noticed.evicted->draining) {
    process.around.note(ReasonCode::kCameHome,
                        fmt::format("process {} came home: node {} takes no guests any more",
                                    process.home.pid, record.from));
  } else if (record.moved() && noticed.evicted) {
    process.around.note(ReasonCode::kNoMemory,
                        fmt::format("process {} came home, memory was short at {}: {}",
                                    process.home.pid, record.from, noticed.evicted->memory));
  } else if (record.moved()) {
    process.around.note(
        ReasonCode::kCameHome,
        fmt::format("process {} came home {}", process.home.pid,
                    noticed.starves ? "because signals came faster than a round trip takes"
                                    : "for a call that only home can run"));
  } else if (process.away()) {
    log_warn("watch", "process {} has to come home and cannot yet: {}", process.home.pid,
             record.reason->message());
    process.io.provider->getTimer().afterDelay(kHomeRetry).wait(process.io.waitScope);
  }
}

}  // namespace

void attend(Process& process) {
  if (!process.away()) return;
  if (process.watch()->noticed().process_gone || process.watch()->noticed().exec) {
    // It has ended, or is another program now, started natively at home.
    process.come_back();
    process.say(wire::State::HOME);
  } else if (process.watch()->noticed().keeper_lost) {
    keeper_is_lost(process);
  } else if (process.home.socket->fd() < 0) {
    const Step met = meet_executors(process);
    if (!met) log_warn("watch", "process {}: {}", process.home.pid, met.error().message());
    process.watch()->read_home_messages();
  } else if (process.watch()->noticed().want_home) {
    come_home_as_noticed(process);
  }
}

}  // namespace om::deputy
