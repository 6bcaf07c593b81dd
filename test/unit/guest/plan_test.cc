// SPDX-License-Identifier: Apache-2.0
//
// guest/plan.h and guest/blocks.h: what to do to a fresh process, and the contents of libom's memory there.
#include "guest/plan.h"

#include <doctest/doctest.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/blocks.h"
#include "test/unit/guest/made_up_image.h"

namespace om::guest {
namespace {

using MappingKind = Description::MappingKind;
using MarkKind = Description::MarkKind;

proc::Mapping map(uint64_t lo, uint64_t hi, proc::MapKind kind = proc::MapKind::kAnon) {
  proc::Mapping m;
  m.start = lo;
  m.end = hi;
  m.kind = kind;
  return m;
}

bool is(const PlanEntry& e, PlanKind kind, uint64_t lo, uint64_t hi, uint64_t arg = 0) {
  return e.kind == kind && e.lo == lo && e.hi == hi && e.arg == arg;
}

TEST_CASE("the fresh process is cleared but for libom and the vDSO, which moves") {
  MadeUpImage m;
  m.image.mappings.clear();
  constexpr uint64_t kVvar = 0x7ffff7fc0000, kVdso = kVvar + 4 * kPageSize;
  const auto plan = plan_mappings(
      {map(0x400000, 0x401000), map(kArena, kArena + arena_bytes(8)), map(kImageLo, kImageHi),
       map(kVvar, kVdso, proc::MapKind::kVvar),
       map(kVdso, kVdso + 2 * kPageSize, proc::MapKind::kVdso),
       map(uint64_t{0xffffffffff600000}, uint64_t{0xffffffffff601000}, proc::MapKind::kVsyscall)},
      m.image, m.bounds());
  REQUIRE(plan.ok());
  REQUIRE(plan->before.size() == 3);
  CHECK(is(plan->before[0], kPlanUnmap, 0x400000, 0x401000));
  CHECK(is(plan->before[1], kPlanMoveVdso, kVvar, kVdso, kArena + kControlVdso));
  CHECK(is(plan->before[2], kPlanMoveVdso, kVdso, kVdso + 2 * kPageSize,
           kArena + kControlVdso + 4 * kPageSize));
  CHECK(plan->after.empty());
  CHECK((plan->vdso.lo == kVvar && plan->vdso.text == kVdso));
}

TEST_CASE("mappings are made writable and get their protection after the pages") {
  MadeUpImage m;
  m.image.objects.push_back({0x50000, 4 * kPageSize, true});
  m.image.mappings = {{0x10000, 0x11000, PROT_READ | PROT_WRITE, MappingKind::MEMORY},
                      {0x20000, 0x21000, PROT_READ, MappingKind::MEMORY},
                      {0x30000, 0x31000, PROT_NONE, MappingKind::RESERVE},
                      {0x40000, 0x41000, PROT_READ | PROT_WRITE, MappingKind::VIEW, 0, kPageSize}};
  m.image.marks = {{0x20000, 0x21000, MarkKind::FILE}, {0x10000, 0x11000, MarkKind::GUARD}};
  const auto plan = plan_mappings({}, m.image, m.bounds());
  REQUIRE(plan.ok());
  REQUIRE(plan->before.size() == 4);
  CHECK(is(plan->before[0], kPlanMap, 0x10000, 0x11000));
  CHECK(is(plan->before[1], kPlanMap, 0x20000, 0x21000));
  CHECK(is(plan->before[2], kPlanReserve, 0x30000, 0x31000));
  CHECK(is(plan->before[3], kPlanView, 0x40000, 0x41000, 0x51000));
  REQUIRE(plan->after.size() == 2);
  CHECK(is(plan->after[0], kPlanProtect, 0x20000, 0x21000));
  CHECK(plan->after[0].prot == PROT_READ);
  CHECK(is(plan->after[1], kPlanGuard, 0x10000, 0x11000));

  const auto bytes = plan_bytes(*plan);
  RestorePlan head{};
  REQUIRE(bytes.size() == sizeof head + 6 * sizeof(PlanEntry));
  memcpy(&head, bytes.data(), sizeof head);
  CHECK((head.magic == kPlanMagic && head.before == 4 && head.after == 2));
}

TEST_CASE("a plan that libom has no room for is refused") {
  MadeUpImage m;
  m.image.mappings.clear();
  for (uint64_t i = 2; i < kMaxPlanEntries + 2; i++)
    m.image.mappings.push_back(
        {i * kPageSize, (i + 1) * kPageSize, PROT_READ, MappingKind::MEMORY});
  const auto plan = plan_mappings({}, m.image, m.bounds());
  REQUIRE(!plan.ok());
  CHECK(plan.error().code == ReasonCode::kNoMemory);
}

TEST_CASE("a vDSO without functions, and one that is none") {
  const std::vector<std::byte> garbage(kPageSize, std::byte{7});
  CHECK(!vdso_functions(garbage, {0x1000, 0x2000, 0x1000}, MadeUpImage().bounds()).ok());
}

TEST_CASE("the block of the body says what home has said") {
  MadeUpImage m;
  m.image.process.brk_now = 0x5000;
  m.image.marks.assign(kMaxFileRanges + 5, {kProgram, kProgram + kPageSize, MarkKind::SHARED});
  m.image.marks[0].kind = MarkKind::GUARD;  // not listed there
  const auto s = body_state(m.image, m.layout());
  CHECK((s->epoch == 3 && s->home_pid == 77 && s->brk_now == 0x5000));
  CHECK((s->nthreads == 1 && s->slots_ready == 1 && s->nslots == 8));
  CHECK((s->stack_low == kStackLo && s->stack_high == kStackHi));
  CHECK(s->file_ranges[0].lo == (kProgram | kRangeShared));
  CHECK(s->file_range_count == kMaxFileRanges + 1);  // more than fit: all
}

TEST_CASE("the block of a thread") {
  MadeUpImage m;
  Description::Thread& t = m.image.threads[0];
  t.state.slot = 1;
  t.state.tid = 99;
  t.state.kind = kThreadWaiting;
  t.state.seq = 5;
  const auto block = thread_block(t, m.layout());
  REQUIRE(block.ok());
  CHECK((block->thread.home_tid == 99 && block->thread.call_seq == 5 && block->thread.call_sent));
  CHECK(block->thread.self == slot_address(kArena, 1) + kSlotBlock);
  CHECK(block->xsave.size() == kXsaveMinBytes);
  t.xsave[kXsaveLegacyBytes] = std::byte{4};  // AVX, which home says it lacks
  CHECK(!thread_block(t, m.layout()).ok());
}

}  // namespace
}  // namespace om::guest
