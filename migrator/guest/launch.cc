// SPDX-License-Identifier: Apache-2.0
//
// Keeper::prepare: a fresh process in which libom's place is taken and its pages lie. A place that is not free
// in one process (its own stack or vDSO lies there) is free in another: processes are laid out at random.
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <fmt/format.h>

#include "common/fault.h"
#include "common/version.h"
#include "migrator/guest/keeper.h"

namespace om::guest {
namespace {

// Threads that the process may start between the offer and its stop; a slot costs address space only.
constexpr uint32_t kMoreThreads = 128;
constexpr int kAttempts = 12;
constexpr uint64_t kMaxImage = 64u << 20;
constexpr uint64_t kTop = uint64_t{1} << 47;
constexpr auto kLaunchLimit = 10 * kj::SECONDS;

bool is_page(uint64_t address) { return address % kPageSize == 0; }

}  // namespace

Outcome Keeper::prepare(schema::BodySpec::Reader spec) {
  if (body_.pid() != 0) return fail("INTERNAL", "this keeper has a body already");
  if (!keeper_serves_gate_abi(spec.getKeeperGateAbi())) {
    return fail("VERSION",
                fmt::format("the program's libom has keeper interface {}, this node serves {}",
                            spec.getKeeperGateAbi(), kKeeperGateAbi));
  }
  image_lo_ = spec.getImageLo();
  image_hi_ = spec.getImageHi();
  gate_lo_ = spec.getGateLo();
  gate_hi_ = spec.getGateHi();
  arena_ = spec.getArena();
  slots_ = spec.getSlots();
  body_state_ = spec.getBodyState();
  body_entry_ = spec.getBodyEntry();
  const bool image_ok = is_page(image_lo_) && is_page(image_hi_) && image_lo_ < image_hi_ &&
                        image_hi_ < kTop && image_hi_ - image_lo_ <= kMaxImage &&
                        spec.getImage().size() == image_hi_ - image_lo_;
  const bool gate_ok = gate_lo_ >= image_lo_ && gate_hi_ <= image_hi_ && gate_lo_ < gate_hi_ &&
                       gate_lo_ >> 32 == (gate_hi_ - 1) >> 32;
  const bool slots_ok = slots_ > 0 && slots_ <= kMaxSlots;
  const bool arena_ok = slots_ok && arena_ % kSlotSize == 0 && arena_ < kTop &&
                        arena_ + arena_bytes(slots_) < kTop &&
                        (arena_ >= image_hi_ || arena_ + arena_bytes(slots_) <= image_lo_);
  const bool state_ok = body_state_ >= image_lo_ && body_state_ + sizeof(BodyState) <= image_hi_ &&
                        body_entry_ >= image_lo_ && body_entry_ < image_hi_;
  if (!image_ok || !gate_ok || !arena_ok || !state_ok)
    return fail("INTERNAL", "home's description of libom makes no sense");
  segments_.clear();
  for (auto s : spec.getSegments()) {
    if (s.getLo() < image_lo_ || s.getHi() > image_hi_ || s.getLo() >= s.getHi() ||
        segments_.size() == kMaxSegments) {
      return fail("INTERNAL", "home's description of libom makes no sense");
    }
    segments_.push_back({s.getLo(), s.getHi(), s.getProt() & 7, 0});
  }
  // Some slots more than there are threads now: one may be made before the stop.
  launched_slots_ = std::min(slots_, spec.getThreads() + kMoreThreads);
  auto layout = local_layout();
  if (fault_at("guest.prepare")) return fail("INTERNAL", fault_text("guest.prepare"));
  if (!layout) return fail(layout.error());
  local_xstate_ = *layout;
  Outcome outcome;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    outcome = launch(spec);
    if (outcome.code != "RETRY") break;
    body_.kill();
  }
  if (outcome.code == "RETRY")
    return fail("INTERNAL", "the place of the program's libom is taken on this node");
  if (!outcome.ok()) return outcome;
  bulk_ = link_.connect(kPreambleBulk).wait(io_.waitScope);
  return {};
}

Outcome Keeper::launch(schema::BodySpec::Reader spec) {
  BodyPlan plan;
  plan.command = spec.getCommand().cStr();
  plan.cpus = spec.getCpus();
  for (auto l : spec.getLimits()) {
    if (l.getResource() >= RLIM_NLIMITS) return fail("INTERNAL", "unknown resource limit");
    plan.limits.push_back({l.getResource(), l.getSoft(), l.getHard()});
  }
  if (auto started = body_.start(launcher_, plan); !started) {
    return started.error().err == ERANGE ? fail("CPU_COUNT", started.error().what)
                                         : fail(started.error());
  }
  BodyMessage m{};
  m.type = kBodyLaunch;
  m.slot = launched_slots_;
  m.a = image_lo_;
  m.b = image_hi_;
  m.c = arena_;
  m.d = arena_bytes(slots_);
  m.e = gate_lo_;
  m.f = gate_hi_;
  if (auto sent = body_.send(m); !sent) return fail(sent.error());
  const BodyMessage mapped =
      io_.provider->getTimer().timeoutAfter(kLaunchLimit, body_.receive()).wait(io_.waitScope);
  if (mapped.type != kBodyMapped)
    return fail("INTERNAL", "the launcher does not follow the protocol");
  const auto result = static_cast<int64_t>(mapped.a);
  if (result == -EEXIST) return fail("RETRY", "");
  if (result == -ENOMEM)
    return fail("NO_MEMORY", "the address space limit leaves no room for libom");
  if (result != 0) return fail(Error{static_cast<int>(-result), "map libom's memory"});
  if (auto opened = body_.open_memory(); !opened) return fail(opened.error());
  auto image = spec.getImage();
  auto written =
      body_.memory().write(image_lo_, std::as_bytes(std::span(image.begin(), image.size())));
  return written ? Outcome{} : fail(written.error());
}

}  // namespace om::guest
