// SPDX-License-Identifier: Apache-2.0
//
// The connection with the keeper of a process that is away: lost, waited for, made again, given up. Part of what is
// done while the process is away (watch.cc).
//
// A keeper is lost when it does not connect any more and its body gives no sign of life either. A silent one is not:
// its connection is there, the kernels look after that (common/net/connection.h).
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "common/base/log.h"
#include "deputy/base/text.h"
#include "deputy/mover.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLookForSession = 500 * kj::MILLISECONDS;
constexpr uint32_t kMaxKicks = 16;  // under way at the same time
constexpr auto kKeeperWait = std::chrono::seconds(5);
constexpr auto kBulkWait = 10 * kj::SECONDS;
constexpr auto kRollBackLimit = std::chrono::seconds(30);
constexpr auto kSilence = std::chrono::seconds(10);  // of the keeper: nothing is asked of it
constexpr auto kLookForKeeper = 20 * kj::MILLISECONDS;
constexpr auto kPagesArrive = 30 * kj::SECONDS;
constexpr auto kBusySilence = std::chrono::seconds(5);  // pings are answered every second
constexpr auto kLookAround = std::chrono::milliseconds(50);
constexpr auto kBusyLimit = std::chrono::minutes(10);
constexpr auto kRollBackAgain = 200 * kj::MILLISECONDS;

}  // namespace

// How long a keeper may be unreachable.
kj::Duration Mover::patience() {
  const char* text = ::getenv("OM_SESSION_TIMEOUT_S");
  const long seconds = text != nullptr ? ::strtol(text, nullptr, 10) : 0;
  return (seconds > 0 && seconds < 86400 ? seconds : 30) * kj::SECONDS;
}

// The keeper makes connections, we wait for it. Channels are left alone: those that work serve the body's calls.
kj::Promise<void> Mover::reconnect() {
  log_info("watch", "process {}: the keeper at {} is out of reach", home_.pid, at_);
  keeper_ = nullptr;
  body_heard_ = Clock::now();
  if (const auto home = home_.target->home()) calls_heard_ = home->calls;
  // A homecoming that waits for pages must not go on waiting.
  if (bulk_.get() != nullptr) kj::runCatchingExceptions([&] { bulk_->abortRead(); });
  return wait_for_session();
}

kj::Promise<void> Mover::wait_for_session() {
  using Found = kj::Maybe<kj::Own<kj::AsyncIoStream>>;
  auto later =
      io_.provider->getTimer().afterDelay(kLookForSession).then([]() -> Found { return nullptr; });
  return link_.session()
      .then([](kj::Own<kj::AsyncIoStream>&& stream) -> Found { return kj::mv(stream); })
      .exclusiveJoin(kj::mv(later))
      .then([this](Found&& found) -> kj::Promise<void> {
        KJ_IF_MAYBE (stream, found) {
          take_session(kj::mv(*stream));
          return watch_session();
        }
        if (!session_is_lost()) return wait_for_session();
        keeper_lost_ = true;
        happened();
        return kj::READY_NOW;
      });
}

void Mover::take_session(kj::Own<kj::AsyncIoStream> stream) {
  client_ = nullptr;
  session_stream_ = kj::mv(stream);
  client_ = kj::heap<capnp::TwoPartyClient>(*session_stream_);
  keeper_ = client_->bootstrap().castAs<schema::Keeper>();
  keeper_heard_ = Clock::now();
  patience_ = patience();
  bulk_stale_ = true;
  pinged_ = false;
  kicks_under_way_ = 0;
  to_kick_.clear();
  cpus_under_way_ = cpus_again_ = false;
  sessions_++;
  log_info("watch", "process {}: the keeper at {} is back", home_.pid, at_);
  greet_keeper();
}

// A body whose calls arrive, or whose node's kernel answers on one of its connections, is there: no body outlives its
// keeper. patience_ is for one that may never have run.
bool Mover::session_is_lost() {
  const auto home = home_.target->home();
  const bool calls = home && home->calls != calls_heard_;
  if (calls) calls_heard_ = home->calls;
  if (calls || link_.has_channel()) body_heard_ = Clock::now();
  const kj::Duration limit = body_has_acted() ? patience() : patience_;
  return Clock::now() - body_heard_ > std::chrono::nanoseconds(limit / kj::NANOSECONDS);
}

bool Mover::body_has_acted() const {
  const auto home = home_.target->home();
  return !home || home->effectful != 0 || home->dropped != 0;
}

void Mover::kick_all() {
  if (auto home = home_.target->home())
    home_.state.slots_ready = std::min(home->slots_ready, home_.state.nslots);
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < home_.state.slots_ready; i++) all.push_back(i);
  kick(all);
}

// Out of reach for a moment: the steps of a homecoming wait for the keeper.
Step Mover::wait_for_keeper() {
  auto& timer = io_.provider->getTimer();
  const auto limit = Clock::now() + kKeeperWait;
  while (keeper_ == nullptr || bulk_stale_ || is_silent()) {
    if (keeper_lost_ || process_gone_ || exec_ || Clock::now() > limit)
      return refuse(ReasonCode::kOutOfReach, "{}", at_);
    if (keeper_ != nullptr && bulk_stale_ && !is_silent()) {
      bulk_ = timer.timeoutAfter(kBulkWait, link_.bulk()).wait(io_.waitScope);
      bulk_stale_ = false;
    } else {
      timer.afterDelay(kLookForKeeper).wait(io_.waitScope);
    }
  }
  return Done{};
}

bool Mover::is_silent() const { return Clock::now() - keeper_heard_ > kSilence; }

void Mover::kick(const std::vector<uint32_t>& slots) {
  to_kick_.insert(slots.begin(), slots.end());
  send_kicks();
}

// Kicks for a keeper that stands still are put together: what waits for it must stay within its connection's buffers,
// or the connection counts as broken.
void Mover::send_kicks() {
  if (to_kick_.empty() || kicks_under_way_ >= kMaxKicks) return;
  KJ_IF_MAYBE (keeper, keeper_) {
    auto request = keeper->kickRequest();
    auto list = request.initSlots(static_cast<unsigned>(to_kick_.size()));
    unsigned i = 0;
    for (uint32_t slot : to_kick_) list.set(i++, slot);
    to_kick_.clear();
    kicks_under_way_++;
    const uint32_t session = sessions_;
    tasks_->add(request.send().ignoreResult().then([this, session] {
      if (session != sessions_) return;
      kicks_under_way_--;
      send_kicks();
    }));
  }
}

void Mover::keeper_is_lost() {
  const std::string lost = at_;  // a rollback changes it
  const auto limit = Clock::now() + kRollBackLimit;
  // Home still has everything: it waits for threads that do not stop as long as they live.
  for (bool in_the_way = false; !body_has_acted() && (in_the_way || Clock::now() < limit);) {
    Step back = roll_back("node " + lost + " was lost before the body had done anything");
    if (back.ok()) {
      around_.note("NODE_LOST",
                   fmt::format("process {} goes on at home: node {} was lost", home_.pid, lost));
      around_.state(at_, "home");
      return;
    }
    if (!in_the_way) log_error("watch", "process {}: {}", home_.pid, back.reason().message());
    in_the_way = is_in_the_way(back.reason().code);
    io_.provider->getTimer().afterDelay(kRollBackAgain).wait(io_.waitScope);
    if (process_gone_ || exec_) return;
  }
  // No libom there: the process has become another program, or ends. That is about to be noticed.
  if (!home_.target->home()) {
    exec_ = true;
    return happened();
  }
  const std::string why =
      body_end_.empty()
          ? fmt::format("process {} was lost with node {}: its state was there", home_.pid, lost)
          : fmt::format("process {} was lost at node {}, where its body was {}", home_.pid, lost,
                        body_end_);
  log_error("watch", "{}", why);
  around_.note("NODE_LOST", why);
  if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  away_ = false;
  disconnect();
  finished_ = true;
}

void Mover::break_session() {
  if (session_stream_.get() == nullptr || keeper_ == nullptr) return;
  // The other end may have been faster.
  kj::runCatchingExceptions([&] { session_stream_->abortRead(); });
  kj::runCatchingExceptions([&] { session_stream_->shutdownWrite(); });
}

// A keeper that answers pings is busy looking for pages, and not lost.
void Mover::wait_for_pages(kj::Promise<void> pages) {
  // What has arrived is read without a look at anything else: not the pings, for as long as there is more.
  if (const auto now = Clock::now(); now - looked_around_ > kLookAround) {
    io_.provider->getTimer().afterDelay(0 * kj::SECONDS).wait(io_.waitScope);
    looked_around_ = now;
  }
  auto fork = pages.fork();
  for (const auto start = Clock::now();;) {
    bool late = false;
    auto limit = io_.provider->getTimer().afterDelay(kPagesArrive).then([&late] { late = true; });
    fork.addBranch().exclusiveJoin(kj::mv(limit)).wait(io_.waitScope);
    if (!late) return;
    const auto now = Clock::now();
    if (keeper_ == nullptr || now - keeper_heard_ > kBusySilence || now - start > kBusyLimit)
      kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "the keeper sends no pages"));
  }
}

}  // namespace om::deputy
