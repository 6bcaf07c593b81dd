// SPDX-License-Identifier: Apache-2.0
#include "guest/service.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "common/base/fault.h"
#include "common/schema/outcome.h"

namespace om::guest {
namespace {

constexpr uint32_t kMaxPeekBytes = 64 << 10;

void write(const Step& step, schema::Outcome::Builder to) {
  write_outcome(step.ok() ? std::nullopt : std::optional(step.error()), to);
}

}  // namespace

kj::Promise<void> KeeperService::makeBody(MakeBodyContext context) {
  return keeper_.queue([this, context]() mutable {
    auto p = context.getParams();
    Member& member = keeper_.make_member(p.getMember());
    const Step outcome = member.builder().prepare(p.getSpec());
    auto results = context.getResults();
    write(outcome, results.initVerdict());
    results.initHost().setPid(member.body().process().pid());
    if (outcome) results.setBody(kj::heap<BodyService>(keeper_, member));
  });
}

kj::Promise<void> KeeperService::body(BodyContext context) {
  Member& member = keeper_.member(context.getParams().getMember());
  context.getResults().setBody(kj::heap<BodyService>(keeper_, member));
  return kj::READY_NOW;
}

kj::Promise<void> KeeperService::evicted(EvictedContext context) {
  return keeper_.evicted().then([context](Keeper::Eviction eviction) mutable {
    context.getResults().setWhy(eviction.why.c_str());
    context.getResults().setDraining(eviction.draining);
  });
}

kj::Promise<void> BodyService::build(BuildContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = member_.builder().build(context.getParams().getImage());
    write(outcome, context.getResults().initVerdict());
  });
}

kj::Promise<void> BodyService::filled(FilledContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = member_.builder().filled(context.getParams().getPages());
    write(outcome, context.getResults().initVerdict());
  });
}

kj::Promise<void> BodyService::commit(CommitContext context) {
  // Not queued: it is short, and home waits with its process frozen.
  auto p = context.getParams();
  const Step outcome = member_.builder().commit(p.getEpoch(), p.getHomeMonoNs(), p.getHomeRealNs());
  if (outcome.ok() && fault_at("guest.committed")) {
    keeper_.drop_session();  // the answer is lost
    return kj::NEVER_DONE;
  }
  write(outcome, context.getResults().initVerdict());
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::kick(KickContext context) {
  member_.body().kick(context.getParams().getSlots());
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::pin(PinContext context) {
  // Not queued: it is short, comes before COMMIT, and a thread of the program waits for it.
  auto p = context.getParams();
  member_.body().pin(p.getChange(), p.getThreads());
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::stop(StopContext context) {
  return keeper_.queue([this, context]() mutable {
    auto results = context.getResults();
    auto p = context.getParams();
    Description image;
    const Step outcome = member_.collector().stop(p.getGeneration(), p.getLook(), image);
    if (outcome.ok()) write_description(image, results.initState());
    write(outcome, results.initVerdict());
  });
}

kj::Promise<void> BodyService::collect(CollectContext context) {
  return keeper_.queue([this, context]() mutable {
    PageCounts sent;
    const Step outcome = member_.collector().collect(context.getParams().getRanges(), sent);
    auto results = context.getResults();
    write(outcome, results.initVerdict());
    results.setPages(sent.pages);
    results.setBytes(sent.bytes);
  });
}

kj::Promise<void> BodyService::resume(ResumeContext context) {
  return keeper_.queue([this, context]() mutable {
    const Step outcome = member_.collector().resume();
    write(outcome, context.getResults().initVerdict());
  });
}

kj::Promise<void> BodyService::pause(PauseContext context) {
  member_.body().pause(context.getParams().getOn());
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::end(EndContext) {
  keeper_.end(member_);
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::ping(PingContext context) {
  auto p = context.getParams();
  const Pulse pulse = member_.ping(p.getHomeMonoNs(), p.getHomeRealNs());
  auto results = context.getResults();
  results.setCpuNs(pulse.cpu_ns);
  results.setRssBytes(pulse.rss_bytes);
  results.setThreads(pulse.threads);
  results.setBodyMonoNs(pulse.body_mono_ns);
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::peek(PeekContext context) {
  auto p = context.getParams();
  auto results = context.getResults();
  const auto bytes = member_.body().peek(p.getAddress(), std::min(p.getBytes(), kMaxPeekBytes));
  write(bytes ? Step() : Step(bytes.error()), results.initVerdict());
  if (bytes)
    results.setData(kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes->data()), bytes->size()));
  return kj::READY_NOW;
}

kj::Promise<void> BodyService::ends(EndsContext context) {
  return member_.body().process().ended().then(
      [context](std::string how) mutable { context.getResults().setHow(how.c_str()); });
}

}  // namespace om::guest
