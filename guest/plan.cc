// SPDX-License-Identifier: Apache-2.0
#include "guest/plan.h"

#include <string.h>
#include <sys/mman.h>

#include <utility>

#include "common/elf/vdso.h"
#include "libom/abi/anchor.h"
#include "libom/abi/body.h"
#include "libom/abi/layout.h"

namespace om::guest {
namespace {

// Unmaps everything that is not libom's, and moves the vDSO to its place in the arena.
void clear_away(const std::vector<proc::Mapping>& fresh, const Bounds& bounds, MappingPlan& plan) {
  LocalVdso& vdso = plan.vdso;
  for (const auto& m : fresh) {
    if (m.kind == proc::MapKind::kVsyscall || bounds.hit(m.start, m.end)) continue;
    if (m.kind != proc::MapKind::kVvar && m.kind != proc::MapKind::kVdso) {
      plan.before.push_back({m.start, m.end, kPlanUnmap, 0, 0});
      continue;
    }
    if (vdso.lo == 0) vdso.lo = m.start;
    vdso.hi = m.end;
    if (m.kind == proc::MapKind::kVdso) vdso.text = m.start;
    plan.before.push_back(
        {m.start, m.end, kPlanMoveVdso, 0, vdso_moved_to(bounds) + (m.start - vdso.lo)});
  }
}

PlanKind kind_of(Description::MappingKind kind) {
  switch (kind) {
    case Description::MappingKind::RESERVE:
      return kPlanReserve;
    case Description::MappingKind::VIEW:
      return kPlanView;
    case Description::MappingKind::MEMORY:
    case Description::MappingKind::STACK:
      break;
  }
  return kPlanMap;
}

void make_mapping(const Description& image, const Description::Mapping& m, MappingPlan& plan) {
  const PlanKind kind = kind_of(m.kind);
  plan.before.push_back({m.lo, m.hi, kind, 0, kind == kPlanView ? image.view_of(m) : 0});
  const uint32_t prot = m.prot & 7;
  if (kind != kPlanReserve && prot != (PROT_READ | PROT_WRITE))
    plan.after.push_back({m.lo, m.hi, kPlanProtect, prot, 0});
}

}  // namespace

Verdict<MappingPlan> plan_mappings(const std::vector<proc::Mapping>& fresh,
                                   const Description& image, const Bounds& bounds) {
  MappingPlan plan;
  clear_away(fresh, bounds, plan);
  if (plan.vdso.hi - plan.vdso.lo > kControlVdsoSize)
    return refuse(ReasonCode::kInternal, "this kernel's vDSO is too large");
  for (const auto& m : image.mappings) make_mapping(image, m, plan);
  for (const auto& m : image.marks) {
    if (m.kind == Description::MarkKind::GUARD)
      plan.after.push_back({m.lo, m.hi, kPlanGuard, 0, 0});
  }
  if (plan.before.size() + plan.after.size() > kMaxPlanEntries)
    return refuse(ReasonCode::kNoMemory, "too many mappings");
  return plan;
}

std::vector<std::byte> plan_bytes(const MappingPlan& plan) {
  const RestorePlan head{kPlanMagic, static_cast<uint32_t>(plan.before.size()),
                         static_cast<uint32_t>(plan.after.size())};
  std::vector<std::byte> out;
  auto put = [&](auto bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  put(std::as_bytes(std::span(&head, 1)));
  put(std::as_bytes(std::span(plan.before)));
  put(std::as_bytes(std::span(plan.after)));
  return out;
}

Result<std::array<uint64_t, 8>> vdso_functions(std::span<const std::byte> code,
                                               const LocalVdso& vdso, const Bounds& bounds) {
  static constexpr std::pair<VdsoFunction, const char*> kWanted[] = {
      {kVdsoClockGettime, "__vdso_clock_gettime"},
      {kVdsoGettimeofday, "__vdso_gettimeofday"},
      {kVdsoTime, "__vdso_time"},
      {kVdsoGetcpu, "__vdso_getcpu"},
      {kVdsoClockGetres, "__vdso_clock_getres"}};
  std::array<uint64_t, 8> functions{};
  const auto parsed = OM_TRY(parse_vdso(code));
  for (const auto& [function, name] : kWanted) {
    if (const VdsoSymbol* symbol = parsed.find(name))
      functions[function] = vdso_moved_to(bounds) + (vdso.text - vdso.lo) + symbol->offset;
  }
  return functions;
}

}  // namespace om::guest
