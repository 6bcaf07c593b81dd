// SPDX-License-Identifier: Apache-2.0
#include "guest/builder.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "common/base/fault.h"
#include "guest/blocks.h"

namespace om::guest {
namespace {

constexpr auto kBodyAnswers = 20 * kj::SECONDS;
constexpr auto kChannelLimit = 10 * kj::SECONDS;

// How much a process may grow between the offer and its stop.
constexpr uint64_t kGrowth = 256 << 20;

uint64_t most_pages(uint64_t offered) {
  return (offered + std::max(offered / 4, kGrowth)) / kPageSize;
}

}  // namespace

// If the kernel has killed the body meanwhile, that is why the step failed. A body that ends by itself has answered.
Step Builder::attempt(const std::function<Step()>& step) {
  Step outcome;
  kj::Maybe<kj::Exception> broken = kj::runCatchingExceptions([&] { outcome = step(); });
  if (broken == nullptr && outcome.ok()) return outcome;
  BodyProcess& process = body_.process();
  const bool ended = process.has_ended();
  const std::string how = fmt::format("the body was {}", process.how_it_ended());
  if (ended && process.ran_out_of_memory()) return refuse(ReasonCode::kNoMemory, "{}", how);
  KJ_IF_MAYBE (exception, broken) {
    if (ended) return refuse(ReasonCode::kInternal, "{}", how);
    kj::throwFatalException(kj::mv(*exception));
  }
  return outcome;
}

Step Builder::advance(Phase from, Phase to, const std::function<Step()>& step) {
  if (body_.phase() != from) return refuse(ReasonCode::kInternal, "home's calls are out of order");
  body_.reach(Phase::kBroken);
  Step outcome = attempt(step);
  if (outcome.ok()) body_.reach(to);
  return outcome;
}

Step Builder::build(schema::Image::Reader image) {
  return advance(Phase::kPrepared, Phase::kBuilt, [&] { return build_body(image); });
}

Step Builder::build_body(schema::Image::Reader message) {
  OM_TRY(fault("guest.build"));
  if (!body_.process().running()) return refuse(ReasonCode::kInternal, "the body has ended");
  const Description image = OM_TRY(read_description(message));
  OM_TRY(check_image(image, body_.bounds()));
  BodyLayout& layout = body_.layout();
  layout.home_xstate = image.xstate;
  layout.epoch = image.epoch;
  if (const auto* stack = image.stack()) {
    layout.stack_lo = stack->lo;
    layout.stack_hi = stack->hi;
  }
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  body_.clocks().start(image.clocks.mono_ns, image.clocks.real_ns, mono, real);

  OM_TRY(write_state(image));
  OM_TRY(write_plan(image));
  OM_TRY(write_threads(image));
  OM_TRY(body_.objects().make(body_.process(), image.objects));
  OM_TRY(enter());
  OM_TRY(fault("guest.restored"));
  start_fill(image);
  return open_channels(static_cast<uint32_t>(image.threads.size()));
}

Step Builder::write_state(const Description& image) {
  const auto state = body_state(image, body_.layout());
  state->cpu_limit = body_.process().cpu_limit();
  state->clock = body_.clocks().page(now_ns(CLOCK_MONOTONIC));
  state->clock.mono_floor_ns = state->clock.real_floor_ns = INT64_MIN;
  OM_MUST_VOID(body_.memory().put(body_.bounds().body_state, *state));
  return {};
}

Step Builder::write_plan(const Description& image) {
  const auto maps = OM_MUST(proc::read_maps(body_.process().pid()));
  const MappingPlan plan = OM_TRY(plan_mappings(maps, image, body_.bounds()));
  OM_MUST_VOID(body_.memory().write(body_.bounds().arena + kControlPlan, plan_bytes(plan)));
  return write_vdso(plan.vdso);
}

// Writes where the functions of this node's vDSO will be.
Step Builder::write_vdso(const LocalVdso& vdso) {
  const Bounds& bounds = body_.bounds();
  std::array<uint64_t, 8> functions{};
  if (vdso.text != 0) {
    std::vector<std::byte> code(vdso.hi - vdso.text);
    OM_MUST_VOID(body_.memory().read(vdso.text, code));
    functions = OM_MUST(vdso_functions(code, vdso, bounds));
  }
  const uint64_t lo = vdso_moved_to(bounds), hi = lo + (vdso.hi - vdso.lo);
  OM_MUST_VOID(body_.memory().write(bounds.body_state + offsetof(BodyState, local_vdso),
                                    std::as_bytes(std::span(functions))));
  OM_MUST_VOID(body_.put_state(offsetof(BodyState, local_vdso_lo), lo));
  OM_MUST_VOID(body_.put_state(offsetof(BodyState, local_vdso_hi), hi));
  return {};
}

Step Builder::write_threads(const Description& image) {
  for (const auto& t : image.threads) {
    const uint32_t slot = t.state.slot;
    const ThreadBlock block = OM_TRY(thread_block(t, body_.layout()));
    const uint64_t base = slot_address(body_.bounds().arena, slot);
    OM_MUST_VOID(body_.memory().put(body_.thread_address(slot), block.thread));
    OM_MUST_VOID(body_.memory().write(base + kSlotFrame + kFrameXsave, block.xsave));
  }
  return {};
}

// The launcher becomes libom's restorer.
Step Builder::enter() {
  BodyMessage m{};
  m.type = kBodyEnter;
  m.a = body_.bounds().body_entry;
  m.b = slot_address(body_.bounds().arena, 0);
  m.c = segments_.size();
  OM_MUST_VOID(body_.process().send(m, segments_.data(), segments_.size() * sizeof segments_[0]));
  return expect(kBodyRestored, "rebuild the address space");
}

void Builder::start_fill(const Description& image) {
  std::vector<ExpectedPages::Place> places;
  for (const auto& m : image.mappings) {
    if (m.kind == Description::MappingKind::MEMORY || m.kind == Description::MappingKind::STACK)
      places.push_back({m.lo, m.hi});
  }
  body_.objects().add_places(places);
  fill_.start(link_.pages(), body_.memory(), std::move(places), most_pages(terms_.offered));
}

Step Builder::open_channels(uint32_t count) {
  for (uint32_t slot = 0; slot < count; slot++) {
    const ChannelEnd end =
        session_.wait(link_.channel(slot, body_.layout().epoch, Dialer::kAttempts), kChannelLimit);
    BodyMessage m{};
    m.type = kBodyChannel;
    m.slot = slot;
    OM_MUST_VOID(body_.process().send(m, &end.keys, sizeof end.keys, end.fd.get()));
  }
  return {};
}

Step Builder::filled(uint64_t pages) {
  return advance(Phase::kBuilt, Phase::kFilled, [&] { return make_threads(pages); });
}

Step Builder::make_threads(uint64_t pages) {
  OM_TRY(fill_.finish(session_, pages));
  BodyMessage m{};
  m.type = kBodyFilled;
  OM_MUST_VOID(body_.process().send(m));
  return expect(kBodyReady, "make its threads");
}

Step Builder::expect(uint32_t type, const char* what) {
  const BodyMessage m = session_.wait(body_.process().receive(), kBodyAnswers);
  if (m.type != type)
    return refuse(ReasonCode::kInternal, "the body does not follow the protocol ({})", what);
  const auto result = static_cast<int64_t>(m.a);
  if (result == -ENOMEM) return refuse(ReasonCode::kNoMemory, "the body could not {}", what);
  if (result != 0) {
    return refuse(ReasonCode::kInternal, "the body could not {} at {:#x}: {}", what, m.b,
                  ::strerror(static_cast<int>(-result)));
  }
  return {};
}

Step Builder::commit(uint32_t epoch, int64_t home_mono, int64_t home_real) {
  OM_TRY(fault("guest.commit"));
  if (body_.phase() != Phase::kFilled)
    return refuse(ReasonCode::kInternal, "home's calls are out of order");
  if (epoch != body_.layout().epoch)
    return refuse(ReasonCode::kInternal, "COMMIT for another epoch");
  if (!is_time(home_mono) || !is_time(home_real))
    return refuse(ReasonCode::kInternal, "home has no clock");
  const int64_t local_mono = now_ns(CLOCK_MONOTONIC);
  body_.clocks().sample(home_mono, home_real, local_mono, now_ns(CLOCK_REALTIME));
  body_.clocks().jump(local_mono);
  body_.write_clock();
  BodyMessage m{};
  m.type = kBodyCommit;
  OM_MUST_VOID(body_.process().send(m));
  body_.reach(Phase::kRunning);
  return {};
}

}  // namespace om::guest
