// SPDX-License-Identifier: Apache-2.0
//
// Keeper::prepare: a fresh process in which libom's place is taken and its pages lie. A place that is not free
// in one process (its own stack or vDSO lies there) is free in another: processes are laid out at random.
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <fmt/format.h>

#include "common/base/fault.h"
#include "common/base/version.h"
#include "guest/keeper.h"
#include "guest/title.h"

namespace om::guest {
namespace {

constexpr int kAttempts = 12;
constexpr auto kLaunchLimit = 10 * kj::SECONDS;

}  // namespace

Step Keeper::prepare(schema::BodySpec::Reader spec) {
  return advance(Phase::kFresh, Phase::kPrepared, [&] { return prepare_body(spec); });
}

Step Keeper::prepare_body(schema::BodySpec::Reader spec) {
  if (!keeper_serves_gate_abi(spec.getKeeperGateAbi())) {
    return refuse(ReasonCode::kVersion,
                  "the program's libom has keeper interface {}, this node serves {}",
                  spec.getKeeperGateAbi(), kKeeperGateAbi);
  }
  OM_STEP(check_spec(spec, bounds_));
  segments_.clear();
  for (auto g : spec.getSegments()) segments_.push_back({g.getLo(), g.getHi(), g.getProt() & 7, 0});
  auto layout = local_layout();
  OM_STEP(fault("guest.prepare"));
  if (!layout) return internal(layout.error());
  local_xstate_ = *layout;
  for (int attempt = 1; !OM_STEP(launch(spec)); attempt++) {
    body_.kill();
    if (attempt == kAttempts)
      return refuse(ReasonCode::kInternal,
                    "the place of the program's libom is taken on this node");
  }
  bulk_ = wait(link_.connect(kPreambleBulk, HomeLink::kAttempts));
  return {};
}

Verdict<bool> Keeper::launch(schema::BodySpec::Reader spec) {
  BodyPlan plan;
  plan.title = body_title(guest_, spec.getCommand().cStr());
  plan.cpus = spec.getCpus();
  for (auto l : spec.getLimits())
    plan.limits.push_back({l.getResource(), l.getSoft(), l.getHard()});
  if (auto started = body_.start(launcher_, plan); !started) {
    return started.error().err == ERANGE ? refuse(ReasonCode::kCpuCount, "{}", started.error().what)
                                         : internal(started.error());
  }
  BodyMessage m{};
  m.type = kBodyLaunch;
  m.slot = bounds_.launched_slots;
  m.a = bounds_.image_lo;
  m.b = bounds_.image_hi;
  m.c = bounds_.arena;
  m.d = arena_bytes(bounds_.slots);
  m.e = bounds_.gate_lo;
  m.f = bounds_.gate_hi;
  OM_MUST_VOID(body_.send(m));
  const BodyMessage mapped =
      wait(io_.provider->getTimer().timeoutAfter(kLaunchLimit, body_.receive()));
  if (mapped.type != kBodyMapped)
    return refuse(ReasonCode::kInternal, "the launcher does not follow the protocol");
  const auto result = static_cast<int64_t>(mapped.a);
  if (result == -EEXIST) return false;
  if (result == -ENOMEM)
    return refuse(ReasonCode::kNoMemory, "the address space limit leaves no room for libom");
  if (result != 0) return internal(Error{static_cast<int>(-result), "map libom's memory"});
  OM_MUST_VOID(body_.open_memory());
  OM_MUST_VOID(keep_title(body_.memory(), bounds_.arena, plan.title));
  auto image = spec.getImage();
  OM_MUST_VOID(body_.memory().write(bounds_.image_lo,
                                    std::as_bytes(std::span(image.begin(), image.size()))));
  return true;
}

}  // namespace om::guest
