// SPDX-License-Identifier: Apache-2.0
#include "migrator/guest/keeper.h"

#include <capnp/rpc-twoparty.h>
#include <signal.h>
#include <stdlib.h>

#include <fmt/format.h>
#include <kj/debug.h>

#include <utility>

#include "common/answer_first.h"
#include "common/log.h"
#include "migrator/guest/service.h"

namespace om::guest {
namespace {

constexpr auto kRetry = 100 * kj::MILLISECONDS;
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
      offered_(options.offered),
      body_(io, [this](uint32_t slot) { send_channel(slot); }) {
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
    log_error("keeper", "{}", e.getDescription().cStr());
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
  struct Connect {
    static kj::Promise<kj::Own<kj::AsyncIoStream>> again(
        Keeper& keeper, std::chrono::steady_clock::time_point until) {
      return keeper.link_.connect(kPreambleSession)
          .catch_([&keeper, until](kj::Exception&& e) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
            if (std::chrono::steady_clock::now() > until) return kj::mv(e);
            keeper.cannot_connect(e);
            return keeper.io_.provider->getTimer().afterDelay(kRetry).then(
                [&keeper, until] { return again(keeper, until); });
          });
    }
  };
  return Connect::again(*this, std::chrono::steady_clock::now() + patience())
      .then([this](kj::Own<kj::AsyncIoStream>&& stream) {
        auto session = kj::heap<Session>(kj::mv(stream), *this);
        auto gone = session->network.onDisconnect();
        begin_session();
        cannot_connect_.clear();
        return gone.attach(kj::mv(session));
      })
      .then([this]() -> kj::Promise<void> {
        end_session();
        // Before the body runs there is nothing to keep: home goes on by itself.
        if (!is_running() || ending_) return KJ_EXCEPTION(DISCONNECTED, "the session has ended");
        log_info("keeper", "home is out of reach");
        link_.cut_channels();
        return io_.provider->getTimer().afterDelay(kRetry).then([this] { return serve_session(); });
      });
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
  if (channel_credit_ == 0 || now - credit_since_ > kCreditTime) {
    if (now - credit_since_ <= kCreditTime) {
      tasks_.add(io_.provider->getTimer().afterDelay(kRetry).then([this, slot] {
        if (body_.running() && !ending_) connect_channel(slot);
      }));
      return;
    }
    credit_since_ = now;
    channel_credit_ = 2 * bounds_.slots;
  }
  channel_credit_--;
  tasks_.add(link_.channel(slot, epoch_)
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
