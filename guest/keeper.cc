// SPDX-License-Identifier: Apache-2.0
#include "guest/keeper.h"

#include <capnp/rpc-twoparty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <kj/debug.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/net/answer_first.h"
#include "guest/service.h"

namespace om::guest {
namespace {

constexpr auto kRetry = 100 * kj::MILLISECONDS;
constexpr uint32_t kMaxDoublings = 4;  // of the pause between sessions that nobody serves
constexpr auto kHomeComes = 2 * kj::SECONDS;
constexpr int kPatienceSeconds = 60;
constexpr size_t kMaxCallWords = 1 << 21;  // of calls that are not answered yet: 16 MiB
constexpr size_t kMaxJobs = 64;
constexpr auto kCreditTime = std::chrono::seconds(10);

// How long home may be out of reach before the guest is given up. Longer than the deputy's own patience, so
// that home decides.
std::chrono::seconds patience() {
  const char* text = ::getenv("OM_SESSION_TIMEOUT_S");
  const long seconds = text != nullptr ? ::strtol(text, nullptr, 10) : 0;
  return std::chrono::seconds(seconds > 0 && seconds < 86400 ? seconds * 2 : kPatienceSeconds);
}

}  // namespace

Keeper::Keeper(kj::AsyncIoContext& io, const KeeperOptions& options)
    : io_(io),
      link_(io, options.home, options.session, options.token),
      launcher_(options.launcher),
      guest_(options.guest),
      offered_(options.offered),
      body_(io, [this](uint32_t slot) { send_channel(slot); }),
      home_seen_(std::chrono::steady_clock::now()) {
  if (options.headroom != 0) memory_watch_.emplace(io, options.headroom);
}

kj::Promise<void> Keeper::queue(std::function<void()> job) {
  if (jobs_.size() >= kMaxJobs) return KJ_EXCEPTION(OVERLOADED, "too many calls at once");
  auto paf = kj::newPromiseAndFulfiller<void>();
  jobs_.push_back({sessions_, std::move(job), kj::mv(paf.fulfiller)});
  wake();
  return kj::mv(paf.promise);
}

void Keeper::wake() {
  KJ_IF_MAYBE (fulfiller, job_arrived_) {
    (*fulfiller)->fulfill();
    job_arrived_ = nullptr;
  }
}

// Home does not need the body any more, nor what is under way for it.
void Keeper::end() {
  ending_ = true;
  jobs_.clear();
  end_session();
  wake();
  if (!busy_) body_.kill();
}

void Keeper::begin_session() {
  auto paf = kj::newPromiseAndFulfiller<void>();
  session_end_ = paf.promise.fork();
  session_ended_ = kj::mv(paf.fulfiller);
  session_over_ = false;
  sessions_++;
}

// Whatever step is under way for it ends, and those that wait are left out.
void Keeper::end_session() {
  session_over_ = true;
  if (session_ended_.get() != nullptr) session_ended_->fulfill();
  session_ended_ = nullptr;
}

void Keeper::check_home() {
  const uint32_t session = sessions_;
  io_.waitScope.poll();
  if (session_over_ || session != sessions_)
    kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "the session has ended"));
}

void Keeper::run() {
  auto session = serve_session().eagerlyEvaluate([this](kj::Exception&& e) {
    // Until the body runs home may change its mind, and it ends every session in the end.
    const auto level = is_running() && !ending_ ? LogLevel::kError : LogLevel::kInfo;
    log("keeper", level, "{}", e.getDescription().cStr());
    ending_ = true;
    end_session();
    wake();
  });
  while (!ending_) {
    if (jobs_.empty()) {
      auto paf = kj::newPromiseAndFulfiller<void>();
      job_arrived_ = kj::mv(paf.fulfiller);
      paf.promise.wait(io_.waitScope);
      continue;
    }
    Job job = kj::mv(jobs_.front());
    jobs_.pop_front();
    if (session_over_ || job.session != sessions_) continue;
    busy_ = true;
    kj::Maybe<kj::Exception> failed = kj::runCatchingExceptions([&] { job.run(); });
    busy_ = false;
    KJ_IF_MAYBE (exception, failed) {
      job.done->reject(kj::mv(*exception));
    } else {
      job.done->fulfill();
    }
  }
  body_.kill();
  // Let the answer to end() leave.
  kj::runCatchingExceptions(
      [&] { io_.provider->getTimer().afterDelay(20 * kj::MILLISECONDS).wait(io_.waitScope); });
}

// Serves one session connection after the other. A lost one is made again until home has been out of reach for
// too long; meanwhile gates find their channels closed and wait for new ones.
kj::Promise<void> Keeper::serve_session() {
  struct Session {
    kj::Own<kj::AsyncIoStream> stream;
    capnp::TwoPartyVatNetwork network;
    capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
    Session(kj::Own<kj::AsyncIoStream> s, Keeper& keeper)
        : stream(answer_first(kj::mv(s))),
          network(*stream, capnp::rpc::twoparty::Side::SERVER),
          rpc(capnp::makeRpcServer(network,
                                   schema::Keeper::Client(kj::heap<KeeperService>(keeper)))) {
      rpc.setFlowLimit(kMaxCallWords);
    }
  };
  return connect_session()
      .then([this](kj::Own<kj::AsyncIoStream>&& stream) {
        KJ_IF_MAYBE (fd, stream->getFd()) {
          session_fd_ = *fd;
        }
        auto session = kj::heap<Session>(kj::mv(stream), *this);
        auto gone = session->network.onDisconnect();
        begin_session();
        cannot_connect_.clear();
        return gone.exclusiveJoin(nobody_serves()).attach(kj::mv(session));
      })
      .then([this]() -> kj::Promise<void> {
        end_session();
        session_fd_ = -1;
        // Before the body runs there is nothing to keep: home goes on by itself.
        if (!is_running() || ending_) return KJ_EXCEPTION(DISCONNECTED, "the session has ended");
        if (served_) {
          log_info("keeper", "home is out of reach");
          home_seen_ = std::chrono::steady_clock::now();
          in_vain_ = 0;
        } else if (home_is_lost()) {
          return KJ_EXCEPTION(DISCONNECTED, "nobody at home serves the session");
        } else {
          in_vain_++;
        }
        served_ = false;
        link_.cut_channels();
        // Whoever takes connections and does not serve them is not asked all the time.
        const auto pause = kRetry * (1 << std::min(in_vain_, kMaxDoublings));
        return io_.provider->getTimer().afterDelay(pause).then([this] { return serve_session(); });
      });
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Keeper::connect_session() {
  return link_.connect(kPreambleSession, 1)
      .catch_([this](kj::Exception&& e) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        if (home_is_lost()) return kj::mv(e);
        cannot_connect(e);
        return io_.provider->getTimer().afterDelay(kRetry).then(
            [this] { return connect_session(); });
      });
}

// Resolves when a session is of no use: it is there, and home is lost all the same.
kj::Promise<void> Keeper::nobody_serves() {
  return io_.provider->getTimer().afterDelay(kRetry).then([this]() -> kj::Promise<void> {
    if (served_) return kj::NEVER_DONE;
    if (home_is_lost()) return KJ_EXCEPTION(DISCONNECTED, "nobody at home serves the session");
    return nobody_serves();
  });
}

// The time counts from the last session that home has served, whatever takes our connections since. As long as the
// body's calls have a way home it is not lost.
bool Keeper::home_is_lost() const {
  return std::chrono::steady_clock::now() - home_seen_ > patience() && !link_.has_channel();
}

void Keeper::drop_session() {
  if (session_fd_ >= 0) ::shutdown(session_fd_, SHUT_RDWR);
}

// The body asked for a channel (again).
void Keeper::send_channel(uint32_t slot) {
  if (slot >= bounds_.slots || asked_.contains(slot)) return;
  asked_.insert(slot);
  connect_channel(slot);
}

// One connection a slot at a time, and no more of them in a row than threads can need: a body that asks for ever
// must not use up this node's ports.
void Keeper::connect_channel(uint32_t slot) {
  const auto now = std::chrono::steady_clock::now();
  if (served_ && now - credit_since_ > kCreditTime) {
    credit_since_ = now;
    channel_credit_ = 2 * bounds_.slots;
  }
  // Nor while there is nobody at home who could hand them on.
  if (!served_ || channel_credit_ == 0) {
    tasks_.add(io_.provider->getTimer().afterDelay(kRetry).then([this, slot] {
      if (body_.running() && !ending_) connect_channel(slot);
    }));
    return;
  }
  channel_credit_--;
  tasks_.add(link_.channel(slot, epoch_, 1)
                 .then([this, slot](UniqueFd&& fd) {
                   BodyMessage m{};
                   m.type = kBodyChannel;
                   m.slot = slot;
                   asked_.erase(slot);
                   if (auto r = body_.send(m, nullptr, 0, fd.get()); !r)
                     log_warn("keeper", "{}", r.error().text());
                 })
                 .catch_([this, slot](kj::Exception&& e) {
                   cannot_connect(e);
                   // Home is out of reach at the moment: the body waits, so do we.
                   return io_.provider->getTimer().afterDelay(kRetry).then([this, slot] {
                     if (body_.running() && !ending_) connect_channel(slot);
                   });
                 }));
}

// Once for each cause, although it is tried again and again.
void Keeper::cannot_connect(const kj::Exception& exception) {
  const std::string why = exception.getDescription().cStr();
  if (std::exchange(cannot_connect_, why) != why)
    log_warn("keeper", "cannot connect to home: {}", why);
}

// Home says it again and again: a thread that has it already is left alone, also by what has been done to it here.
void Keeper::pin(uint32_t change, capnp::List<schema::ThreadCpus>::Reader threads) {
  if ((!is_running() && phase_ != Phase::kFilled) || !body_.running()) return;
  if (threads.size() > bounds_.slots) return;
  for (auto t : threads) {
    if (t.getSlot() >= bounds_.slots) continue;
    const auto tid =
        body_.memory().get<int32_t>(thread_address(t.getSlot()) + offsetof(BodyThread, body_tid));
    if (!tid || *tid <= 0) continue;  // being made: home will say it again
    std::vector<uint64_t> mask;
    for (uint64_t word : t.getMask()) {
      if (mask.size() < CPU_SETSIZE / 64) mask.push_back(word);
    }
    Pinned& pinned = pinned_[t.getSlot()];
    if (pinned.tid == *tid && pinned.mask == mask) continue;
    pinned = {*tid, std::move(mask)};
    body_.pin_thread(pinned.tid, pinned.mask);
  }
  if (auto r = put_state(offsetof(BodyState, cpu_changes), change); !r)
    log_warn("keeper", "{}", r.error().text());
}

kj::Promise<std::string> Keeper::memory_short() {
  if (!memory_watch_ || !is_running() || !body_.running()) return kj::NEVER_DONE;
  return memory_watch_->shortage(body_.pid()).then([this](std::string why) {
    hold_body();
    return why;
  });
}

// It must not go on taking memory until home has stopped it, for which it has a moment.
void Keeper::hold_body() {
  if (held_ || paused_) return;
  held_ = true;
  body_.signal_thread(body_.pid(), SIGSTOP);
  tasks_.add(io_.provider->getTimer().afterDelay(kHomeComes).then([this] { let_body_go(); }));
}

void Keeper::let_body_go() {
  if (!held_) return;
  held_ = false;
  if (!paused_) body_.signal_thread(body_.pid(), SIGCONT);
}

void Keeper::shut(const std::string& what) {
  if (what == "channels" || what == "all") link_.cut_channels();
}

void Keeper::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("keeper", "{}", exception.getDescription().cStr());
}

}  // namespace om::guest
