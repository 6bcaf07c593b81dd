// SPDX-License-Identifier: Apache-2.0
#include "guest/service.h"

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "common/base/fault.h"
#include "common/proc/status.h"

namespace om::guest {
namespace {

constexpr uint32_t kMaxPeekBytes = 64 << 10;

constexpr uint32_t kSpareThreads = 8;

int64_t now_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return ts.tv_sec * int64_t{1000000000} + ts.tv_nsec;
}

uint64_t cpu_ns(pid_t pid) {
  clockid_t clock;
  return pid > 0 && ::clock_getcpuclockid(pid, &clock) == 0 ? static_cast<uint64_t>(now_ns(clock))
                                                            : 0;
}

void write_outcome(schema::Outcome::Builder to, const Step& step) {
  if (step.ok()) return to.setOk();
  auto refusal = to.initRefused();
  refusal.setCode(std::string(step.reason().name()).c_str());
  refusal.setDetail(step.reason().detail.c_str());
}

}  // namespace

kj::Promise<void> KeeperService::prepare(PrepareContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = keeper_.advance(Phase::kFresh, Phase::kPrepared, [&] {
      return keeper_.prepare(context.getParams().getSpec());
    });
    auto results = context.getResults();
    write_outcome(results.initVerdict(), outcome);
    results.initHost().setPid(keeper_.body_.pid());
  });
}

kj::Promise<void> KeeperService::build(BuildContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = keeper_.advance(Phase::kPrepared, Phase::kBuilt, [&] {
      return keeper_.build(context.getParams().getImage());
    });
    write_outcome(context.getResults().initVerdict(), outcome);
  });
}

kj::Promise<void> KeeperService::filled(FilledContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = keeper_.advance(Phase::kBuilt, Phase::kFilled, [&] {
      return keeper_.filled(context.getParams().getPages());
    });
    write_outcome(context.getResults().initVerdict(), outcome);
  });
}

kj::Promise<void> KeeperService::commit(CommitContext context) {
  // Not queued: it is short, and home waits with its process frozen.
  auto p = context.getParams();
  const Step outcome = keeper_.commit(p.getEpoch(), p.getHomeMonoNs(), p.getHomeRealNs());
  if (outcome.ok() && fault_at("guest.committed")) {
    keeper_.drop_session();  // the answer is lost
    return kj::NEVER_DONE;
  }
  write_outcome(context.getResults().initVerdict(), outcome);
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::kick(KickContext context) {
  keeper_.kick(context.getParams().getSlots());
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::pin(PinContext context) {
  // Not queued: it is short, comes before COMMIT, and a thread of the program waits for it.
  auto p = context.getParams();
  keeper_.pin(p.getChange(), p.getThreads());
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::stop(StopContext context) {
  return keeper_.queue([this, context]() mutable {
    auto results = context.getResults();
    auto p = context.getParams();
    const Step outcome = keeper_.stop(p.getGeneration(), p.getLook(), results.initState());
    write_outcome(results.initVerdict(), outcome);
  });
}

kj::Promise<void> KeeperService::collect(CollectContext context) {
  return keeper_.queue([this, context]() mutable {
    uint64_t pages = 0, bytes = 0;
    const Step outcome = keeper_.collect(context.getParams().getRanges(), pages, bytes);
    if (!outcome.ok()) keeper_.end_pages();
    auto results = context.getResults();
    write_outcome(results.initVerdict(), outcome);
    results.setPages(pages);
    results.setBytes(bytes);
  });
}

kj::Promise<void> KeeperService::resume(ResumeContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = keeper_.resume();
    keeper_.renew_bulk();  // home may have given up in the middle of the pages
    write_outcome(context.getResults().initVerdict(), outcome);
  });
}

kj::Promise<void> KeeperService::pause(PauseContext context) {
  keeper_.pause(context.getParams().getOn());
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::end(EndContext) {
  keeper_.end();
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::ping(PingContext context) {
  auto p = context.getParams();
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  if (keeper_.is_running() && is_time(p.getHomeMonoNs()) && is_time(p.getHomeRealNs())) {
    keeper_.clocks_.sample(p.getHomeMonoNs(), p.getHomeRealNs(), mono, real);
    keeper_.write_clock();
  }
  for (uint32_t slot : keeper_.link_.broken_channels()) {
    if (auto t = keeper_.thread(slot)) keeper_.body_.signal_thread(t->body_tid, SIGURG);
  }
  auto results = context.getResults();
  results.setCpuNs(cpu_ns(keeper_.body_.pid()));
  if (auto status = proc::read_status(keeper_.body_.pid())) {
    results.setRssBytes(status->vm_rss_bytes);
    results.setThreads(status->threads);
    // Its gate makes no more: the filter is what a guest cannot get around, and that does not count them.
    if (status->threads > keeper_.bounds_.slots + kSpareThreads)
      keeper_.body_.end("it made more threads than it may have");
  }
  results.setBodyMonoNs(keeper_.clocks_.body_mono(mono));
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::peek(PeekContext context) {
  auto p = context.getParams();
  auto results = context.getResults();
  if (!keeper_.is_running() || !keeper_.body_.running()) {
    write_outcome(results.initVerdict(), refuse(ReasonCode::kInternal, "the body has ended"));
    return kj::READY_NOW;
  }
  std::vector<std::byte> bytes(std::min<uint32_t>(p.getBytes(), kMaxPeekBytes));
  const size_t got = keeper_.body_.memory().read_some(p.getAddress(), bytes);
  results.setData(kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), got));
  write_outcome(results.initVerdict(), {});
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::cut(CutContext context) {
  keeper_.shut(context.getParams().getWhat().cStr());
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::evicted(EvictedContext context) {
  return keeper_.memory_short().then(
      [context](std::string why) mutable { context.getResults().setWhy(why.c_str()); });
}

kj::Promise<void> KeeperService::bodyEnds(BodyEndsContext context) {
  return keeper_.body_.ended().then(
      [context](std::string how) mutable { context.getResults().setHow(how.c_str()); });
}

}  // namespace om::guest
