// SPDX-License-Identifier: Apache-2.0
#include "guest/blocks.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <iterator>

#include "libom/abi/memory.h"
#include "libom/abi/thread.h"

namespace om::guest {
namespace {

XstateTable to_table(const XstateLayout& layout) {
  XstateTable t{};
  t.size = layout.size;
  t.count = std::size(t.component);
  t.xcr0 = layout.xcr0;
  for (size_t i = 0; i < std::size(t.component); i++)
    t.component[i] = {layout.comp[i].offset, layout.comp[i].size};
  return t;
}

// Flags that tell the kinds apart in BodyState.file_ranges.
uint64_t flags_of(Description::MarkKind kind) {
  switch (kind) {
    case Description::MarkKind::SHARED:
      return kRangeShared;
    case Description::MarkKind::LOCKED:
      return kRangeLocked;
    case Description::MarkKind::OBJECT:
      return kRangeObject;
    case Description::MarkKind::FILE:
    case Description::MarkKind::GUARD:
    case Description::MarkKind::WRITTEN:
      break;
  }
  return 0;
}

void put_ranges(const Description& image, BodyState& s) {
  if (const auto* stack = image.stack()) {
    s.stack_low = stack->lo;
    s.stack_high = stack->hi;
    s.stack_prot = stack->prot & 7;
  }
  s.object_count = image.objects.size();
  for (size_t i = 0; i < image.objects.size(); i++)
    s.objects[i] = {0, 0, image.objects[i].view, image.objects[i].bytes, image.objects[i].is_open};
  for (const auto& m : image.marks) {
    if (m.kind == Description::MarkKind::GUARD || m.kind == Description::MarkKind::WRITTEN)
      continue;
    if (s.file_range_count < kMaxFileRanges)
      s.file_ranges[s.file_range_count] = {m.lo | flags_of(m.kind), m.hi};
    if (s.file_range_count <= kMaxFileRanges) s.file_range_count++;
  }
}

}  // namespace

std::unique_ptr<BodyState> body_state(const Description& image, const BodyLayout& layout) {
  auto state = std::make_unique<BodyState>();
  BodyState& s = *state;
  s.member = layout.member;
  s.epoch = image.epoch;
  s.nslots = layout.bounds.slots;
  s.arena = layout.bounds.arena;
  s.nthreads = static_cast<uint32_t>(image.threads.size());
  s.slots_ready = s.nthreads;
  const Description::Process& p = image.process;
  s.home_pid = p.pid;
  s.home_ppid_hint = p.ppid;
  std::copy(p.ids.begin(), p.ids.end(), s.ids);
  s.brk_start = p.brk_start;
  s.brk_now = p.brk_now;
  s.brk_limit = p.brk_limit;
  s.caught = p.caught;
  s.fd_size = p.fd_size;
  s.denies_exec = p.denies_exec ? 1 : 0;
  s.home_xstate = to_table(layout.home_xstate);
  s.local_xstate = to_table(layout.local_xstate);
  s.home_vdso_lo = p.vdso_lo;
  s.home_vdso_hi = p.vdso_hi;
  put_ranges(image, s);
  s.writes_files = p.writes_files ? 1 : 0;
  s.pins = 1;
  memcpy(s.uts, p.uts.data(), sizeof s.uts);
  return state;
}

Verdict<ThreadBlock> thread_block(const Description::Thread& thread, const BodyLayout& layout) {
  const ThreadState& s = thread.state;
  std::vector<std::byte> area(layout.home_xstate.size);
  std::copy_n(thread.xsave.begin(), std::min(area.size(), thread.xsave.size()), area.begin());
  ThreadBlock block{{}, std::vector<std::byte>(layout.local_xstate.size)};
  if (auto r = convert(layout.home_xstate, area, layout.local_xstate, block.xsave); !r) {
    return r.error().err == ENOTSUP ? refuse(ReasonCode::kCpuFeature, "{}", r.error().what)
                                    : internal(r.error());
  }
  BodyThread& b = block.thread;
  const uint64_t base = slot_address(layout.bounds.arena, s.slot);
  b.self = base + kSlotBlock;
  b.gate_sp = base + kSlotStack + kSlotStackSize - 64;
  b.slot = s.slot;
  b.home_tid = s.tid;
  b.channel.fd = -1;
  b.busy = 1;
  b.kind = s.kind;
  memcpy(b.regs, s.regs, sizeof b.regs);
  b.seq = s.seq;
  b.call_nr = s.nr;
  memcpy(b.call_args, s.args, sizeof b.call_args);
  b.call_seq = s.seq;
  b.call_sent = s.kind == kThreadWaiting ? 1 : 0;
  b.kernel = s.kernel;
  return block;
}

}  // namespace om::guest
