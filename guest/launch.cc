// SPDX-License-Identifier: Apache-2.0
//
// Builder::prepare: starts a fresh process, reserves libom's place in it and writes libom's pages there. A place that
// is not free in one process (its own stack or vDSO lies there) is free in another: layouts are random.
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <fmt/format.h>

#include "common/base/fault.h"
#include "common/base/version.h"
#include "guest/builder.h"
#include "guest/title.h"

namespace om::guest {
namespace {

constexpr int kAttempts = 12;
constexpr auto kLaunchLimit = 10 * kj::SECONDS;

}  // namespace

Step Builder::prepare(schema::BodySpec::Reader spec) {
  return advance(Phase::kFresh, Phase::kPrepared, [&] { return prepare_body(spec); });
}

Step Builder::prepare_body(schema::BodySpec::Reader spec) {
  if (!keeper_serves_gate_abi(spec.getKeeperGateAbi())) {
    return refuse(ReasonCode::kVersion,
                  "the program's libom has keeper interface {}, this node serves {}",
                  spec.getKeeperGateAbi(), kKeeperGateAbi);
  }
  OM_TRY(check_spec(spec, body_.layout().bounds));
  segments_.clear();
  for (auto g : spec.getSegments()) segments_.push_back({g.getLo(), g.getHi(), g.getProt() & 7, 0});
  auto layout = local_layout();
  OM_TRY(fault("guest.prepare"));
  if (!layout) return internal(layout.error());
  body_.layout().local_xstate = *layout;
  for (int attempt = 1; !OM_TRY(launch(spec)); attempt++) {
    body_.process().kill();
    if (attempt == kAttempts)
      return refuse(ReasonCode::kInternal,
                    "the place of the program's libom is taken on this node");
  }
  session_.wait(link_.connect_pages());
  return {};
}

Verdict<bool> Builder::launch(schema::BodySpec::Reader spec) {
  BodyPlan plan;
  plan.title = body_title(terms_.guest, spec.getCommand().cStr());
  plan.cpus = spec.getCpus();
  plan.home_cpus = spec.getHomeCpus() || !gate_takes_any_cpu(spec.getKeeperGateAbi());
  plan.isolation = terms_.isolation;
  plan.threads = terms_.threads;
  plan.cpu = terms_.cpu;
  for (auto l : spec.getLimits())
    plan.limits.push_back({l.getResource(), l.getSoft(), l.getHard()});
  if (auto started = body_.process().start(terms_.launcher, plan); !started) {
    const Error& error = started.error();
    if (error.err == ERANGE) return refuse(ReasonCode::kCpuCount, "{}", error.what);
    if (error.err == ENOTSUP) return refuse(ReasonCode::kBlocked, "{}", error.what);
    return internal(error);
  }
  if (!OM_TRY(map_libom(plan.title))) return false;
  auto image = spec.getImage();
  OM_MUST_VOID(body_.memory().write(body_.bounds().image_lo,
                                    std::as_bytes(std::span(image.begin(), image.size()))));
  return true;
}

Verdict<bool> Builder::map_libom(const std::string& title) {
  BodyProcess& process = body_.process();
  const Bounds& bounds = body_.bounds();
  BodyMessage m{};
  m.type = kBodyLaunch;
  m.slot = bounds.launched_slots;
  m.a = bounds.image_lo;
  m.b = bounds.image_hi;
  m.c = bounds.arena;
  m.d = arena_bytes(bounds.slots);
  m.e = bounds.gate_lo;
  m.f = bounds.gate_hi;
  OM_MUST_VOID(process.send(m));
  const BodyMessage mapped = session_.wait(process.receive(), kLaunchLimit);
  if (mapped.type != kBodyMapped)
    return refuse(ReasonCode::kInternal, "the launcher does not follow the protocol");
  const auto result = static_cast<int64_t>(mapped.a);
  if (result == -EEXIST) return false;
  if (result == -ENOMEM)
    return refuse(ReasonCode::kNoMemory, "the address space limit leaves no room for libom");
  if (result != 0) return internal(Error{static_cast<int>(-result), "map libom's memory"});
  OM_MUST_VOID(process.open_memory());
  OM_MUST_VOID(keep_title(process.memory(), bounds.arena, title));
  return true;
}

}  // namespace om::guest
