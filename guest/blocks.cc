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

void put_ranges(schema::Image::Reader image, BodyState& s) {
  for (auto m : image.getMappings()) {
    if (m.getKind() != kKindStack) continue;
    s.stack_low = m.getLo();
    s.stack_high = m.getHi();
    s.stack_prot = m.getProt() & 7;
  }
  auto objects = image.getObjects();
  s.object_count = objects.size();
  for (unsigned i = 0; i < objects.size(); i++)
    s.objects[i] = {0, 0, objects[i].getView(), objects[i].getBytes(), objects[i].getIsOpen()};
  auto files = image.getFileRanges();
  s.file_range_count = files.size() <= kMaxFileRanges ? files.size() : kMaxFileRanges + 1;
  for (unsigned i = 0; i < files.size() && i < kMaxFileRanges; i++)
    s.file_ranges[i] = {files[i].getLo(), files[i].getHi()};
}

}  // namespace

std::unique_ptr<BodyState> body_state(schema::Image::Reader image, const BodyLayout& layout) {
  auto state = std::make_unique<BodyState>();
  BodyState& s = *state;
  s.epoch = layout.epoch;
  s.nslots = layout.bounds.slots;
  s.arena = layout.bounds.arena;
  s.nthreads = image.getThreads().size();
  s.slots_ready = s.nthreads;
  s.home_pid = image.getPid();
  s.home_ppid_hint = image.getPpid();
  auto ids = image.getIds();
  for (unsigned i = 0; i < 8; i++) s.ids[i] = ids[i];
  s.brk_start = image.getBrkStart();
  s.brk_now = image.getBrkNow();
  s.brk_limit = image.getBrkLimit();
  s.caught = image.getCaught();
  s.fd_size = image.getFdSize();
  s.denies_exec = image.getDeniesExec() ? 1 : 0;
  s.home_xstate = to_table(layout.home_xstate);
  s.local_xstate = to_table(layout.local_xstate);
  s.home_vdso_lo = image.getVdsoLo();
  s.home_vdso_hi = image.getVdsoHi();
  put_ranges(image, s);
  s.writes_files = image.getWritesFiles() ? 1 : 0;
  s.pins = 1;
  memcpy(s.uts, image.getUts().begin(), sizeof s.uts);
  return state;
}

Verdict<ThreadBlock> thread_block(schema::Thread::Reader thread, uint32_t slot,
                                  const BodyLayout& layout) {
  ThreadState s{};
  if (thread.getState().size() != sizeof s)
    return refuse(ReasonCode::kInternal, "a thread's state is incomplete");
  memcpy(&s, thread.getState().begin(), sizeof s);
  if (s.slot != slot) return refuse(ReasonCode::kInternal, "threads are out of order");
  std::vector<std::byte> area(layout.home_xstate.size);
  const auto x = thread.getXsave();
  std::copy_n(x.begin(), std::min<size_t>(area.size(), x.size()),
              reinterpret_cast<kj::byte*>(area.data()));
  ThreadBlock block{{}, std::vector<std::byte>(layout.local_xstate.size)};
  if (auto r = convert(layout.home_xstate, area, layout.local_xstate, block.xsave); !r) {
    return r.error().err == ENOTSUP ? refuse(ReasonCode::kCpuFeature, "{}", r.error().what)
                                    : internal(r.error());
  }
  BodyThread& b = block.thread;
  const uint64_t base = slot_address(layout.bounds.arena, slot);
  b.self = base + kSlotBlock;
  b.gate_sp = base + kSlotStack + kSlotStackSize - 64;
  b.slot = slot;
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
