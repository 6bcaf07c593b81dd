// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/watch.h"

#include <kj/async-unix.h>
#include <time.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/log.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "libom/abi/wire.h"

namespace om::deputy {
namespace {

constexpr auto kTick = 100 * kj::MILLISECONDS;
constexpr uint64_t kTicksPerPing = 10;
// Of a body that hardly computes, so little is missed: what it costs its home to watch it is what an idle guest costs.
constexpr uint64_t kTicksAtOnceIfQuiet = 5;
constexpr uint64_t kQuietNs = 2000000;  // CPU time between two pings
constexpr size_t kMaxQueueBytes = 64 << 20;
constexpr auto kEvictAgain = 5 * kj::SECONDS;

}  // namespace

Watch::Watch(With with)
    : with_(std::move(with)),
      signs_{.patience = patience()},
      job_{JobControl(with_.home.pid)},
      errors_(with_.notice),
      tasks_(errors_),
      kicks_(with_.session, tasks_),
      cpus_(with_.home, with_.session, tasks_) {}

void Watch::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("watch", "{}", one_line(exception.getDescription()));
  notice_.happened();
}

void Watch::begin() {
  pings_.ticks =
      kTicksPerPing - 1;  // a ping soon: its answer is the first that is known of the body
  with_.session.hear();
  watched_socket_ = with_.home.socket->fd();
  with_.session.link().be_patient();
  tasks_.add(watch_fd(watched_socket_));
  tasks_.add(watch_process());
  tasks_.add(with_.session.client() != nullptr ? watch_session() : reconnect());
  tasks_.add(tick());
  read_home_messages();
}

kj::Promise<void> Watch::watch_fd(int fd) {
  if (fd < 0) return kj::READY_NOW;
  auto observer = kj::heap<kj::UnixEventPort::FdObserver>(
      with_.io.unixEventPort, fd, kj::UnixEventPort::FdObserver::OBSERVE_READ);
  auto& o = *observer;
  // One observer for the life of the descriptor: epoll registers it once.
  struct Loop {
    static kj::Promise<void> run(Watch& watch, kj::UnixEventPort::FdObserver& observer) {
      return observer.whenBecomesReadable().then([&watch, &observer]() -> kj::Promise<void> {
        watch.read_home_messages();
        if (watch.noticed_.exec || !watch.with_.home.socket) return kj::READY_NOW;
        return run(watch, observer);
      });
    }
  };
  return Loop::run(*this, o).attach(kj::mv(observer));
}

kj::Promise<void> Watch::watch_process() {
  if (with_.pidfd < 0) return kj::READY_NOW;
  auto observer = kj::heap<kj::UnixEventPort::FdObserver>(
      with_.io.unixEventPort, with_.pidfd, kj::UnixEventPort::FdObserver::OBSERVE_READ);
  return observer->whenBecomesReadable()
      .then([this] {
        noticed_.process_gone = true;
        with_.notice.happened();
      })
      .attach(kj::mv(observer));
}

kj::Promise<void> Watch::watch_session() {
  KJ_IF_MAYBE (body, with_.session.body()) {
    tasks_.add(body->endsRequest().send().then(
        [this](capnp::Response<schema::Body::EndsResults>&& answer) {
          noticed_.body_end = one_line(answer.getHow());
          log_error("watch", "process {}: its body at {} was {}", with_.home.pid, with_.at,
                    noticed_.body_end);
          noticed_.keeper_lost = true;
          with_.notice.happened();
        },
        [](kj::Exception&&) {}));  // the session: noticed below
  }
  KJ_IF_MAYBE (keeper, with_.session.keeper()) {
    tasks_.add(watch_eviction(*keeper));
  }
  return with_.session.client()->onDisconnect().then(
      [this]() -> kj::Promise<void> { return reconnect(); });
}

// The other node's memory gets short: home before the kernel there kills. Or it takes no guests any more.
kj::Promise<void> Watch::watch_eviction(schema::Keeper::Client keeper) {
  return keeper.evictedRequest().send().then(
      [this, keeper](
          capnp::Response<schema::Keeper::EvictedResults>&& answer) mutable -> kj::Promise<void> {
        noticed_.evicted = Noticed::Eviction{one_line(answer.getWhy()), answer.getDraining()};
        noticed_.want_home = true;
        with_.notice.happened();
        return with_.io.provider->getTimer().afterDelay(kEvictAgain).then([this, keeper]() mutable {
          return watch_eviction(kj::mv(keeper));
        });
      },
      [](kj::Exception&&) {});  // the session: noticed by others; or an older keeper
}

// A keeper that has come (back): what it may have missed, or was told by somebody who cannot go on with it.
void Watch::greet_keeper() {
  KJ_IF_MAYBE (body, with_.session.body()) {
    job_.paused = job_.control.stands_still();
    auto request = body->pauseRequest();
    request.setOn(job_.paused);
    tasks_.add(request.send().ignoreResult());
    // A body that was stopped for a homecoming goes on.
    tasks_.add(body->resumeRequest().send().ignoreResult());
  }
  cpus_.follow(true);
  kick_all();
}

kj::Promise<void> Watch::tick() {
  const uint64_t ticks = pings_.quiet ? kTicksAtOnceIfQuiet : 1;
  return with_.io.provider->getTimer()
      .afterDelay(ticks * kTick)
      .then([this, ticks]() -> kj::Promise<void> {
        pings_.ticks += ticks;
        const bool ping = pings_.ticks >= kTicksPerPing;
        if (ping) pings_.ticks = 0;
        follow_job_control();
        with_.on_tick(ping);
        if (ping) {
          exchange_clocks();
          cpus_.follow(false);
          look_for_exec();
        }
        // The keeper has given the old session up before we have noticed.
        if (with_.session.has_keeper() && with_.session.link().has_session()) with_.session.cut();
        // What is to be written to a keeper that asks for it and does not read it.
        if (with_.session.client() != nullptr &&
            with_.session.client()->getCurrentQueueSize() > kMaxQueueBytes)
          with_.session.cut();
        if (noticed_.want_home) with_.notice.happened();
        return tick();
      });
}

void Watch::follow_job_control() {
  const bool stopped = job_.control.stands_still();
  if (stopped == job_.paused) return;
  KJ_IF_MAYBE (body, with_.session.body()) {
    job_.paused = stopped;
    auto request = body->pauseRequest();
    request.setOn(stopped);
    tasks_.add(request.send().ignoreResult());
  }
}

// As long as the session connection has not been made again (takeover.cc), its end cannot tell of an execve.
void Watch::look_for_exec() {
  if (!with_.home.socket || with_.home.socket->fd() >= 0 || noticed_.exec) return;
  with_.notice.happened();
  const auto home = with_.home.target->home();
  if (home && home->phase != kHomeNative &&
      std::equal(std::begin(home->session_id), std::end(home->session_id),
                 with_.session.terms().session)) {
    return;
  }
  noticed_.exec = true;
  with_.notice.happened();
}

void Watch::exchange_clocks() {
  if (pings_.under_way) return;
  KJ_IF_MAYBE (body, with_.session.body()) {
    pings_.under_way = true;
    auto request = body->pingRequest();
    request.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
    request.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
    tasks_.add(request.send().then([this](capnp::Response<schema::Body::PingResults>&& answer) {
      pings_.under_way = false;
      with_.session.hear();
      const uint64_t used =
          answer.getCpuNs() - std::exchange(pings_.body_cpu_ns, answer.getCpuNs());
      pings_.quiet = used < kQuietNs;
      uint64_t calls = 0;
      if (with_.home.target) {
        if (auto home = with_.home.target->home()) calls = home->calls;
      }
      with_.around.stats(
          {answer.getCpuNs() / 1000000, answer.getRssBytes(), answer.getThreads(), calls});
    }));
  }
}

void Watch::read_home_messages() {
  if (!with_.home.socket) return;
  with_.home.socket->pump();
  std::vector<uint32_t> kicks;
  bool cpus_changed = false;
  while (auto m = with_.home.socket->next()) {
    switch (m->type) {
      case kHomeKick:
        kicks.push_back(m->slot);
        break;
      case kHomeWantHome:
        noticed_.starves = m->a == kNrSetMask;
        noticed_.want_home = true;
        with_.notice.happened();
        break;
      case kHomeCpus:
        cpus_changed = true;
        break;
      default:
        break;  // progress notes
    }
  }
  if (!kicks.empty()) kicks_.kick(kicks);
  if (cpus_changed) cpus_.follow(true);
  if (with_.home.socket->fd() != watched_socket_) {
    // Made again for us: kicks before it have reached nobody.
    watched_socket_ = with_.home.socket->fd();
    tasks_.add(watch_fd(watched_socket_));
    kick_all();
  }
  if (with_.home.socket->has_ended() && !noticed_.exec) {
    noticed_.exec = true;
    with_.notice.happened();
  }
}

void Watch::kick_all() {
  if (auto home = with_.home.target->home())
    with_.home.state.slots_ready = std::min(home->slots_ready, with_.home.state.nslots);
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < with_.home.state.slots_ready; i++) all.push_back(i);
  kicks_.kick(all);
}

}  // namespace om::deputy
