// SPDX-License-Identifier: Apache-2.0
//
// The layout of the arena, the range that libom owns on both sides of a migration.
//
// At a departure the deputy reserves it in the stopped program (PROT_NONE, any free place); the body has it at the same
// address. It is given back when all threads are the program's again. At home the program loses no address space to
// it, and while the program is away neither side can hand the range out to it. Its content is never migrated: each
// side uses a slot in its own way.
//
//   arena + 0            control area: local vDSO (body), plans and lists from the daemons
//   arena + kControlSize slot 0, slot 1, ...   one per thread
#pragma once

#include <stdint.h>

namespace om {

constexpr uint64_t kPageSize = 4096;

// The main thread's stack in a body: how large an unlimited one is, and the gap kept free below it, as the kernel does.
constexpr uint64_t kMaxStackRoom = uint64_t{256} << 20;
constexpr uint64_t kStackGap = 2u << 20;

// Control area.
constexpr uint64_t kControlVdso = 0;                  // body: its own vvar/vdso pages live here
constexpr uint64_t kControlVdsoSize = 0x3f000;        // 252 KiB
constexpr uint64_t kControlTitle = kControlVdsoSize;  // body: PrctlMmMap and the text that ps shows
constexpr uint64_t kControlTitleSize = 0x1000;
constexpr uint64_t kControlPlan =
    kControlTitle + kControlTitleSize;           // body: RestorePlan; home: drop list
constexpr uint64_t kControlPlanSize = 0x3c0000;  // 3.75 MiB
constexpr uint64_t kControlSize = kControlPlan + kControlPlanSize;
static_assert(kControlSize == 0x400000);

// One slot: 256 KiB, of which an idle thread touches three or four pages.
constexpr uint64_t kSlotSize = 0x40000;
constexpr uint64_t kSlotGuard = 0x1000;  // [0, 0x1000) PROT_NONE: below the block, above the
                                         // buffers of the slot before
constexpr uint64_t kSlotBlock = 0x1000;  // BodyThread or HomeThread
constexpr uint64_t kSlotBlockSize = 0x3000;
constexpr uint64_t kSlotSeal = 0x3a00;  // at the end of the block's place: keys of the channel
constexpr uint64_t kSlotSealSize = 0x600;
static_assert(kSlotSeal + kSlotSealSize == kSlotBlock + kSlotBlockSize);
constexpr uint64_t kSlotFrame = 0x4000;  // ResumeFrame, 64-aligned xsave area inside
constexpr uint64_t kSlotFrameSize = 0x4000;
// At the end of the frame's place, behind its vector state:
constexpr uint64_t kSlotReturn = 0x7a00;  // home: ThreadState a thread leaves with (kHomeReturning)
constexpr uint64_t kSlotExecFrame = 0x7f00;  // home: ResumeFrame of the executor itself
constexpr uint64_t kSlotLanding = 0x8000;    // body: alternate signal stack, a landing place only
constexpr uint64_t kSlotLandingSize = 0x8000;
// Home: the stack for functions that a deputy makes the thread run. It is separate so that rsp shows whether the thread
// is still in one for a deputy that has died: then the executor has to go on, not the function.
constexpr uint64_t kSlotLent = 0xd000;
constexpr uint64_t kSlotLentSize = 0x3000;
static_assert(kSlotLent + kSlotLentSize == kSlotLanding + kSlotLandingSize);
constexpr uint64_t kSlotStack = 0x10000;  // gate stack or executor stack
constexpr uint64_t kSlotStackSize = 0x10000;
constexpr uint64_t kSlotRecv = 0x20000;  // receive buffer of the channel
constexpr uint64_t kSlotRecvSize = 0x10000;
constexpr uint64_t kSlotSend = 0x30000;  // send buffer, bounce memory
constexpr uint64_t kSlotSendSize = 0x10000;
static_assert(kSlotSend + kSlotSendSize == kSlotSize);

constexpr uint32_t kMinSlots = 64;
constexpr uint32_t kDefaultSlots = 1024;
constexpr uint32_t kMaxSlots = 16384;

// Temporary mappings of executors (large calls) at home: two places per slot, in a window far below the arena where no
// kernel puts a new mapping by itself. The arena is placed so that the window is free; for calls of the body that
// concern the window the process returns home. No body has these mappings, no homecoming touches them.
constexpr uint64_t kExecutorAreaDistance = uint64_t{1} << 40, kExecutorAreaEach = uint64_t{1} << 29;
constexpr uint64_t executor_area_address(uint64_t arena, uint32_t slot, uint32_t which) {
  return arena - kExecutorAreaDistance - (uint64_t{slot} * 2 + which + 1) * kExecutorAreaEach;
}
constexpr bool has_executor_area(uint64_t arena, uint32_t slots) {
  return arena > kExecutorAreaDistance + (uint64_t{slots} * 2 + 1) * kExecutorAreaEach;
}
constexpr uint64_t executor_area_end(uint64_t arena) { return arena - kExecutorAreaDistance; }
constexpr uint64_t executor_area_start(uint64_t arena, uint32_t slots) {
  return executor_area_address(arena, slots, 0);
}
// Bytes that the memory limits of a process at home must leave for them.
constexpr uint64_t kExecutorRoom = uint64_t{64} << 20;
// What stays mapped between two calls: mappings up to kKeptEach, while all together are at most kKeptAll.
constexpr uint64_t kKeptEach = uint64_t{5} << 20, kKeptAll = uint64_t{16} << 20;
constexpr uint64_t arena_bytes(uint32_t slots) {
  return kControlSize + uint64_t{slots} * kSlotSize;
}
// Whether [at, at + bytes) touches [lo, hi).
constexpr bool touches(uint64_t at, uint64_t bytes, uint64_t lo, uint64_t hi) {
  const uint64_t end = at + bytes < at ? ~uint64_t{0} : at + bytes;
  return at < hi && end > lo;
}
// Whether [at, at + bytes) touches what libom owns only while the process is away: the arena, and where executors map
// at home.
constexpr bool touches_lent(uint64_t at, uint64_t bytes, uint64_t arena, uint32_t slots) {
  return touches(at, bytes, arena, arena + arena_bytes(slots)) ||
         (has_executor_area(arena, slots) &&
          touches(at, bytes, executor_area_start(arena, slots), executor_area_end(arena)));
}
constexpr uint64_t slot_address(uint64_t arena, uint32_t slot) {
  return arena + kControlSize + uint64_t{slot} * kSlotSize;
}

// General registers in the order of the kernel's struct sigcontext, so that a signal frame can be copied
// in one go.
enum GprIndex : uint32_t {
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
  kRdi,
  kRsi,
  kRbp,
  kRbx,
  kRdx,
  kRax,
  kRcx,
  kRsp,
  kRip,
  kFlags,
  kGprCount
};
static_assert(kGprCount == 18);

// Resumes a thread without a signal frame: om_resume_user loads the vector state with XRSTOR and the rest with
// IRETQ. Written by the deputy (rollback) or the keeper (start of the body).
struct ResumeFrame {
  uint64_t gpr[kGprCount];
  uint64_t fs_base;
  uint64_t sigmask;  // home only
  uint64_t pad[12];
  // xsave area in the layout of this CPU follows, 64-byte aligned
};
static_assert(sizeof(ResumeFrame) == 256);
constexpr uint64_t kFrameXsave = 256;
// Uses of ResumeFrame.pad at home: what a deputy that adopts the process needs for a rollback.
enum FramePad : uint32_t {
  kFrameRewound = 0,  // rip is at the syscall instruction of the call left at home, not after it
  kFrameWaits = 1,    // 1: the thread was in the call that follows
  kFrameNr = 2,
  kFrameArgs = 3,  // six
  kFrameCtid = 9,
  // Not 0: where a call that the stop has cut short continues (continue.h), unless an executor continues it.
  kFrameAheadRip = 10,
  kFrameAheadRsp = 11,
};

}  // namespace om
