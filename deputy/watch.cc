// SPDX-License-Identifier: Apache-2.0
//
// While the process is away: relays kicks, follows job control and changes of CPUs, keeps the clocks, notices what
// ends.
//
//   what is noticed                      what follows
//   a call that only home can run        the process comes home
//   the session with the keeper is lost  wait for the keeper to connect again, as long as the body gives no sign of
//                                        life either; then roll back, or, if it has already acted, end the process:
//                                        never executed twice, never silent
//   the keeper is silent                 nothing: its connection is there, and the body does not need it for calls
//   the process ends, or calls execve    the body ends
#include <errno.h>
#include <kj/async-unix.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "common/base/log.h"
#include "common/proc/status.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/mover.h"
#include "libom/abi/wire.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTick = 100 * kj::MILLISECONDS;
constexpr uint64_t kTicksPerPing = 10;
// Of a body that hardly computes, so little is missed: what it costs its home to watch it is what an idle guest costs.
constexpr uint64_t kTicksAtOnceIfQuiet = 5;
constexpr uint64_t kQuietNs = 2000000;  // CPU time between two pings
constexpr size_t kMaxQueueBytes = 64 << 20;
constexpr auto kHomeRetry = 200 * kj::MILLISECONDS;
constexpr auto kEvictAgain = 5 * kj::SECONDS;
constexpr auto kEndLimit = 5 * kj::SECONDS;

}  // namespace

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
          {"code", code},
          {"message", message}};
}

Mover::Mover(kj::AsyncIoContext& io, pid_t pid, std::string home_node, const Address& listen,
             Surroundings around)
    : io_(io),
      home_node_(std::move(home_node)),
      around_(std::move(around)),
      link_(io, listen),
      home_(pid),
      objects_(home_),
      files_(home_),
      // Never a number that the keeper has seen from another deputy: it goes by the clock.
      generation_(static_cast<uint32_t>(now_ns(CLOCK_REALTIME) / 1000000)),
      at_(home_node_),
      patience_(patience()),
      job_control_(pid),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, home_.pid, 0)));
}

Mover::~Mover() noexcept(false) = default;

void Mover::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("watch", "{}", one_line(exception.getDescription()));
  mover_.happened();
}

kj::Promise<void> Mover::something_happened() {
  if (happened_before_) {
    happened_before_ = false;
    return kj::READY_NOW;
  }
  auto paf = kj::newPromiseAndFulfiller<void>();
  happened_ = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Mover::happened() {
  KJ_IF_MAYBE (fulfiller, happened_) {
    if ((*fulfiller)->isWaiting()) {
      (*fulfiller)->fulfill();
      happened_ = nullptr;
      return;
    }
  }
  happened_before_ = true;
}

void Mover::start_tasks() {
  starves_ = want_home_ = exec_ = process_gone_ = keeper_lost_ = paused_ = false;
  cpus_under_way_ = cpus_again_ = false;
  body_end_.clear();
  evicted_.clear();
  ticks_ = kTicksPerPing - 1;  // a ping soon: its answer is the first that is known of the body
  body_cpu_ns_ = 0;
  quiet_ = false;
  keeper_heard_ = Clock::now();
  watched_session_ = home_.socket->session();
  link_.be_patient();
  tasks_ = kj::heap<kj::TaskSet>(errors_);
  tasks_->add(watch_fd(home_.socket->session()));
  tasks_->add(watch_process());
  tasks_->add(client_.get() != nullptr ? watch_session() : reconnect());
  tasks_->add(tick());
  read_home_messages();
}

kj::Promise<void> Mover::watch_fd(int fd) {
  if (fd < 0) return kj::READY_NOW;
  auto observer = kj::heap<kj::UnixEventPort::FdObserver>(
      io_.unixEventPort, fd, kj::UnixEventPort::FdObserver::OBSERVE_READ);
  auto& o = *observer;
  // One observer for the life of the descriptor: epoll registers it once.
  struct Loop {
    static kj::Promise<void> run(Mover& mover, kj::UnixEventPort::FdObserver& observer) {
      return observer.whenBecomesReadable().then([&mover, &observer]() -> kj::Promise<void> {
        mover.read_home_messages();
        if (mover.exec_ || !mover.home_.socket) return kj::READY_NOW;
        return run(mover, observer);
      });
    }
  };
  return Loop::run(*this, o).attach(kj::mv(observer));
}

kj::Promise<void> Mover::watch_process() {
  if (!pidfd_.valid()) return kj::READY_NOW;
  auto observer = kj::heap<kj::UnixEventPort::FdObserver>(
      io_.unixEventPort, pidfd_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
  return observer->whenBecomesReadable()
      .then([this] {
        process_gone_ = true;
        happened();
      })
      .attach(kj::mv(observer));
}

kj::Promise<void> Mover::watch_session() {
  KJ_IF_MAYBE (keeper, keeper_) {
    tasks_->add(keeper->bodyEndsRequest().send().then(
        [this](capnp::Response<schema::Keeper::BodyEndsResults>&& answer) {
          body_end_ = one_line(answer.getHow());
          log_error("watch", "process {}: its body at {} was {}", home_.pid, at_, body_end_);
          keeper_lost_ = true;
          happened();
        },
        [](kj::Exception&&) {}));  // the session: noticed below
    tasks_->add(watch_memory(*keeper));
  }
  return client_->onDisconnect().then([this]() -> kj::Promise<void> {
    if (!away_) return kj::READY_NOW;
    return reconnect();
  });
}

// The other node's memory gets short: home before the kernel there kills.
kj::Promise<void> Mover::watch_memory(schema::Keeper::Client keeper) {
  return keeper.evictedRequest().send().then(
      [this, keeper](
          capnp::Response<schema::Keeper::EvictedResults>&& answer) mutable -> kj::Promise<void> {
        if (!away_) return kj::READY_NOW;
        evicted_ = one_line(answer.getWhy());
        want_home_ = true;
        happened();
        return io_.provider->getTimer().afterDelay(kEvictAgain).then([this, keeper]() mutable {
          return watch_memory(kj::mv(keeper));
        });
      },
      [](kj::Exception&&) {});  // the session: noticed by others; or an older keeper
}

// A keeper that has come (back): what it may have missed, or was told by somebody who cannot go on with it.
void Mover::greet_keeper() {
  KJ_IF_MAYBE (keeper, keeper_) {
    paused_ = job_control_.stands_still();
    auto request = keeper->pauseRequest();
    request.setOn(paused_);
    tasks_->add(request.send().ignoreResult());
    // A body that was stopped for a homecoming goes on.
    tasks_->add(keeper->resumeRequest().send().ignoreResult());
  }
  follow_cpus(true);
  kick_all();
}

kj::Promise<void> Mover::tick() {
  const uint64_t ticks = quiet_ ? kTicksAtOnceIfQuiet : 1;
  return io_.provider->getTimer()
      .afterDelay(ticks * kTick)
      .then([this, ticks]() -> kj::Promise<void> {
        if (!away_) return kj::READY_NOW;
        ticks_ += ticks;
        const bool ping = ticks_ >= kTicksPerPing;
        if (ping) ticks_ = 0;
        follow_job_control();
        stop_tracing();
        look_after_files(ping);
        if (ping) {
          exchange_clocks();
          follow_cpus(false);
          look_for_exec();
        }
        // The keeper has given the old session up before we have noticed.
        if (keeper_ != nullptr && link_.has_session()) break_session();
        // What is to be written to a keeper that asks for it and does not read it.
        if (client_.get() != nullptr && client_->getCurrentQueueSize() > kMaxQueueBytes)
          break_session();
        if (want_home_) happened();
        return tick();
      });
}

void Mover::look_after_files(bool write_files_back) {
  if (!want_home_ && files_.is_wanted()) {
    log_info("files", "process {} comes home: somebody writes to a file that it has mapped",
             home_.pid);
    want_home_ = true;
  }
  if (!write_files_back) return;
  KJ_IF_MAYBE (keeper, keeper_) files_.write_back_all(*keeper, *tasks_);
}

void Mover::follow_job_control() {
  const bool stopped = job_control_.stands_still();
  if (stopped == paused_) return;
  KJ_IF_MAYBE (keeper, keeper_) {
    paused_ = stopped;
    auto request = keeper->pauseRequest();
    request.setOn(stopped);
    tasks_->add(request.send().ignoreResult());
  }
}

// As long as the session connection has not been made again (takeover.cc), its end cannot tell of an execve.
void Mover::look_for_exec() {
  if (!home_.socket || home_.socket->session() >= 0 || exec_) return;
  happened();
  const auto home = home_.target->home();
  if (home && home->phase != kHomeNative &&
      std::equal(std::begin(home->session_id), std::end(home->session_id), keys_.session)) {
    return;
  }
  exec_ = true;
  happened();
}

void Mover::exchange_clocks() {
  if (pinged_) return;
  KJ_IF_MAYBE (keeper, keeper_) {
    pinged_ = true;
    auto request = keeper->pingRequest();
    request.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
    request.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
    tasks_->add(request.send().then([this](capnp::Response<schema::Keeper::PingResults>&& answer) {
      pinged_ = false;
      keeper_heard_ = Clock::now();
      const uint64_t used = answer.getCpuNs() - std::exchange(body_cpu_ns_, answer.getCpuNs());
      quiet_ = used < kQuietNs;
      uint64_t calls = 0;
      if (home_.target) {
        if (auto home = home_.target->home()) calls = home->calls;
      }
      around_.stats({{"cpu_ms", answer.getCpuNs() / 1000000},
                     {"rss_bytes", answer.getRssBytes()},
                     {"threads", answer.getThreads()},
                     {"calls", calls}});
    }));
  }
}

void Mover::read_home_messages() {
  if (!home_.socket) return;
  home_.socket->pump();
  std::vector<uint32_t> kicks;
  bool cpus_changed = false;
  while (auto m = home_.socket->next()) {
    switch (m->type) {
      case kHomeKick:
        kicks.push_back(m->slot);
        break;
      case kHomeWantHome:
        starves_ = m->a == kNrSetMask;
        want_home_ = true;
        happened();
        break;
      case kHomeCpus:
        cpus_changed = true;
        break;
      default:
        break;  // progress notes
    }
  }
  if (!kicks.empty()) kick(kicks);
  if (cpus_changed) follow_cpus(true);
  if (home_.socket->session() != watched_session_) {
    // Made again for us: kicks before it have reached nobody.
    watched_session_ = home_.socket->session();
    tasks_->add(watch_fd(watched_session_));
    kick_all();
  }
  if (home_.socket->session_ended() && !exec_) {
    exec_ = true;
    happened();
  }
}

void Mover::attend() {
  if (!away_) return;
  if (process_gone_ || exec_) {
    // Ended, or another program now: natively started at home.
    end_body();
    away_ = false;
    disconnect();
    finished_ = true;
    at_ = home_node_;
    around_.state(at_, "home");
  } else if (keeper_lost_) {
    keeper_is_lost();
  } else if (home_.socket->session() < 0) {
    const Step met = meet_executors();
    if (!met) log_warn("watch", "process {}: {}", home_.pid, met.reason().message());
    read_home_messages();
  } else if (want_home_) {
    const MoveRecord record = come_home();
    const std::string evicted = std::exchange(evicted_, "");
    if (record.result == "moved" && !evicted.empty()) {
      around_.note("NO_MEMORY", fmt::format("process {} came home, memory was short at {}: {}",
                                            home_.pid, record.from, evicted));
    } else if (record.result == "moved") {
      around_.note("CAME_HOME",
                   fmt::format("process {} came home {}", home_.pid,
                               starves_ ? "because signals came faster than a round trip takes"
                                        : "for a call that only home can run"));
    } else if (away_) {
      log_warn("watch", "process {} has to come home and cannot yet: {}", home_.pid,
               record.message);
      io_.provider->getTimer().afterDelay(kHomeRetry).wait(io_.waitScope);
    }
  }
}

void Mover::end_body() {
  KJ_IF_MAYBE (keeper, keeper_) {
    kj::runCatchingExceptions([&] {
      io_.provider->getTimer()
          .timeoutAfter(kEndLimit, keeper->endRequest().send())
          .wait(io_.waitScope);
    });
  }
}

// Ends the session with the keeper, which ends the body.
void Mover::disconnect() {
  end_body();
  tasks_ = kj::heap<kj::TaskSet>(errors_);
  keeper_ = nullptr;
  client_ = nullptr;
  bulk_ = nullptr;
  session_stream_ = nullptr;
  link_.close_all();
  home_.socket.reset();
  files_.clear();
  objects_.close();
}

void Mover::cut(const std::string& what) {
  if (what == "channels" || what == "all") link_.cut_channels();
  if (what == "session" || what == "all") break_session();
}

}  // namespace om::deputy
