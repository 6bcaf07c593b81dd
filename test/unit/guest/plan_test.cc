// SPDX-License-Identifier: Apache-2.0
//
// guest/plan.h and guest/blocks.h: what is to become of a fresh process, and what lies in libom's memory there.
#include "guest/plan.h"

#include <doctest/doctest.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/blocks.h"
#include "test/unit/guest/made_up_image.h"

namespace om::guest {
namespace {

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
  m.mappings(0);
  constexpr uint64_t kVvar = 0x7ffff7fc0000, kVdso = kVvar + 4 * kPageSize;
  const auto plan = plan_mappings(
      {map(0x400000, 0x401000), map(kArena, kArena + arena_bytes(8)), map(kImageLo, kImageHi),
       map(kVvar, kVdso, proc::MapKind::kVvar),
       map(kVdso, kVdso + 2 * kPageSize, proc::MapKind::kVdso),
       map(uint64_t{0xffffffffff600000}, uint64_t{0xffffffffff601000}, proc::MapKind::kVsyscall)},
      m.image().asReader(), m.bounds());
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
  m.mappings(4);
  m.mapping(0, 0x10000, 0x11000, kKindMemory, PROT_READ | PROT_WRITE);
  m.mapping(1, 0x20000, 0x21000, kKindMemory, PROT_READ);
  m.mapping(2, 0x30000, 0x31000, kKindReserve, PROT_NONE);
  m.mapping(3, 0x40000, 0x41000, kKindView, PROT_READ | PROT_WRITE);
  m.image().getMappings()[3].setView(0x50000);
  m.guard(0x10000, 0x11000);
  const auto plan = plan_mappings({}, m.image().asReader(), m.bounds());
  REQUIRE(plan.ok());
  REQUIRE(plan->before.size() == 4);
  CHECK(is(plan->before[0], kPlanMap, 0x10000, 0x11000));
  CHECK(is(plan->before[1], kPlanMap, 0x20000, 0x21000));
  CHECK(is(plan->before[2], kPlanReserve, 0x30000, 0x31000));
  CHECK(is(plan->before[3], kPlanView, 0x40000, 0x41000, 0x50000));
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
  m.mappings(kMaxPlanEntries);
  for (unsigned i = 0; i < kMaxPlanEntries; i++)
    m.mapping(i, (2 + i) * kPageSize, (3 + i) * kPageSize, kKindMemory, PROT_READ);
  const auto plan = plan_mappings({}, m.image().asReader(), m.bounds());
  REQUIRE(!plan.ok());
  CHECK(plan.reason().code == ReasonCode::kNoMemory);
}

TEST_CASE("a vDSO without functions, and one that is none") {
  const std::vector<std::byte> garbage(kPageSize, std::byte{7});
  CHECK(!vdso_functions(garbage, {0x1000, 0x2000, 0x1000}, MadeUpImage().bounds()).ok());
}

BodyLayout layout_of(MadeUpImage& m) {
  BodyLayout layout;
  layout.bounds = m.bounds();
  layout.home_xstate.size = layout.local_xstate.size = kXsaveMinBytes;
  layout.home_xstate.xcr0 = layout.local_xstate.xcr0 = 3;
  layout.home_xstate.mxcsr_mask = layout.local_xstate.mxcsr_mask = 0xffff;
  return layout;
}

TEST_CASE("the block of the body says what home has said") {
  MadeUpImage m;
  m.image().setPid(77);
  m.image().setBrkNow(0x5000);
  auto files = m.image().initFileRanges(kMaxFileRanges + 1);
  files[0].setLo(kProgram | kRangeShared);
  const auto s = body_state(m.image().asReader(), layout_of(m));
  CHECK(s->home_pid == 77);
  CHECK(s->brk_now == 0x5000);
  CHECK((s->nthreads == 1 && s->slots_ready == 1 && s->nslots == 8));
  CHECK((s->stack_low == kStackLo && s->stack_high == kStackHi));
  CHECK(s->file_ranges[0].lo == (kProgram | kRangeShared));
  CHECK(s->file_range_count == kMaxFileRanges + 1);  // more than there is room for: all
}

TEST_CASE("the block of a thread") {
  MadeUpImage m;
  const BodyLayout layout = layout_of(m);
  ThreadState s{};
  s.slot = 1;
  s.tid = 99;
  s.kind = kThreadWaiting;
  s.seq = 5;
  std::vector<kj::byte> area(kXsaveMinBytes);
  auto thread = m.image().initThreads(1)[0];
  auto put = [&] {
    thread.setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&s), sizeof s));
    thread.setXsave(kj::arrayPtr(area.data(), area.size()));
  };
  put();
  CHECK(!thread_block(thread.asReader(), 0, layout).ok());  // of another slot
  const auto block = thread_block(thread.asReader(), 1, layout);
  REQUIRE(block.ok());
  CHECK((block->thread.home_tid == 99 && block->thread.call_seq == 5 && block->thread.call_sent));
  CHECK(block->thread.self == slot_address(kArena, 1) + kSlotBlock);
  CHECK(block->xsave.size() == kXsaveMinBytes);

  area[kXsaveLegacyBytes] = 4;  // AVX, which home says that it has not
  put();
  CHECK(!thread_block(thread.asReader(), 1, layout).ok());
  thread.initState(8);
  CHECK(!thread_block(thread.asReader(), 1, layout).ok());
}

}  // namespace
}  // namespace om::guest
