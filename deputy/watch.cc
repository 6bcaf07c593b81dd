// SPDX-License-Identifier: Apache-2.0
//
// What a process is doing, and what follows from what is noticed while it is away (session/watch.h):
//
//   what is noticed                      what follows
//   a call that only home can run        the process comes home
//   the keeper is lost                   roll back, or, if the body has already acted, end the process: never executed
//                                        twice, never silent
//   the process ends, or calls execve    the body ends
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "common/base/log.h"
#include "deputy/mover.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kHomeRetry = 200 * kj::MILLISECONDS;
constexpr auto kRollBackLimit = std::chrono::seconds(30);
constexpr auto kRollBackAgain = 200 * kj::MILLISECONDS;

}  // namespace

void MoveRecord::conclude(const Step& done, std::chrono::steady_clock::duration took) {
  total_ms = std::chrono::duration<double, std::milli>(took).count();
  if (done.ok()) {
    result = "moved";
    return;
  }
  reason = done.reason();
  const ReasonCode code = reason->code;
  result = code == ReasonCode::kInternal || code == ReasonCode::kTimeout ? "failed" : "refused";
}

nlohmann::json MoveRecord::to_json() const {
  return {{"pid", pid},
          {"from", from},
          {"to", to},
          {"mode", mode},
          {"freeze_ms", freeze_ms},
          {"total_ms", total_ms},
          {"bytes_raw", bytes_raw},
          {"bytes_wire", bytes_wire},
          {"pages", pages},
          {"threads", threads},
          {"result", result},
          {"code", reason ? reason->name() : ""},
          {"message", reason ? reason->message() : ""}};
}

Mover::Mover(kj::AsyncIoContext& io, pid_t pid, std::string home_node, const Address& listen,
             Surroundings around)
    : io_(io),
      home_node_(std::move(home_node)),
      around_(std::move(around)),
      session_(io, listen),
      home_(pid),
      objects_(home_),
      files_(home_),
      at_(home_node_),
      pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

Mover::~Mover() noexcept(false) = default;

void Mover::make_watch() {
  watch_ = kj::heap<Watch>(
      Watch::With{io_, home_, session_, around_, notice_, pidfd_.get(), at_, [this](bool ping) {
                    stop_tracing();
                    look_after_files(ping);
                  }});
}

Step Mover::wait_for_keeper() {
  return session_.wait_for_keeper(at_, [this] { return watch_ && watch_->noticed().is_the_end(); });
}

void Mover::look_after_files(bool write_files_back) {
  if (!watch_->noticed().want_home && files_.is_wanted()) {
    log_info("files", "process {} comes home: somebody writes to a file that it has mapped",
             home_.pid);
    watch_->noticed().want_home = true;
  }
  if (!write_files_back) return;
  KJ_IF_MAYBE (keeper, session_.keeper()) files_.write_back_all(*keeper, watch_->tasks());
}

void Mover::attend() {
  if (!away_) return;
  if (watch_->noticed().process_gone || watch_->noticed().exec) {
    // Ended, or another program now: natively started at home.
    session_.end_body();
    away_ = false;
    disconnect();
    finished_ = true;
    at_ = home_node_;
    around_.state(at_, "home");
  } else if (watch_->noticed().keeper_lost) {
    keeper_is_lost();
  } else if (home_.socket->session() < 0) {
    const Step met = meet_executors();
    if (!met) log_warn("watch", "process {}: {}", home_.pid, met.reason().message());
    watch_->read_home_messages();
  } else if (watch_->noticed().want_home) {
    const Watch::Noticed noticed = watch_->noticed();  // a return ends the watch
    watch_->noticed().evicted.clear();
    const MoveRecord record = come_home();
    const std::string& evicted = noticed.evicted;
    if (record.result == "moved" && !evicted.empty()) {
      around_.note(ReasonCode::kNoMemory,
                   fmt::format("process {} came home, memory was short at {}: {}", home_.pid,
                               record.from, evicted));
    } else if (record.result == "moved") {
      around_.note(
          ReasonCode::kCameHome,
          fmt::format("process {} came home {}", home_.pid,
                      noticed.starves ? "because signals came faster than a round trip takes"
                                      : "for a call that only home can run"));
    } else if (away_) {
      log_warn("watch", "process {} has to come home and cannot yet: {}", home_.pid,
               record.reason->message());
      io_.provider->getTimer().afterDelay(kHomeRetry).wait(io_.waitScope);
    }
  }
}

void Mover::keeper_is_lost() {
  const std::string lost = at_;  // a rollback changes it
  const auto limit = Clock::now() + kRollBackLimit;
  // Home still has everything: it waits for threads that do not stop as long as they live.
  for (bool in_the_way = false; !body_has_acted(home_) && (in_the_way || Clock::now() < limit);) {
    Step back = roll_back("node " + lost + " was lost before the body had done anything");
    if (back.ok()) {
      around_.note(ReasonCode::kNodeLost,
                   fmt::format("process {} goes on at home: node {} was lost", home_.pid, lost));
      around_.state(at_, "home");
      return;
    }
    if (!in_the_way) log_error("watch", "process {}: {}", home_.pid, back.reason().message());
    in_the_way = is_in_the_way(back.reason().code);
    io_.provider->getTimer().afterDelay(kRollBackAgain).wait(io_.waitScope);
    if (watch_->noticed().process_gone || watch_->noticed().exec) return;
  }
  // No libom there: the process has become another program, or ends. That is about to be noticed.
  if (!home_.target->home()) {
    watch_->noticed().exec = true;
    return notice_.happened();
  }
  const std::string why =
      watch_->noticed().body_end.empty()
          ? fmt::format("process {} was lost with node {}: its state was there", home_.pid, lost)
          : fmt::format("process {} was lost at node {}, where its body was {}", home_.pid, lost,
                        watch_->noticed().body_end);
  log_error("watch", "{}", why);
  around_.note(ReasonCode::kNodeLost, why);
  if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  away_ = false;
  disconnect();
  finished_ = true;
}

// Ends the session with the keeper, which ends the body.
void Mover::disconnect() {
  session_.end_body();
  watch_ = nullptr;
  session_.close();
  home_.socket.reset();
  files_.clear();
  objects_.close();
}

void Mover::cut(const std::string& what) {
  if (what == "channels" || what == "all") session_.link().cut_channels();
  if (what == "session" || what == "all") session_.cut();
}

}  // namespace om::deputy
