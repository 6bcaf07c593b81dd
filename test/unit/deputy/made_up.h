// SPDX-License-Identifier: Apache-2.0
//
// This program itself as a home process: registers and libom's memory are made up, the rest is real.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deputy/home/home_side.h"
#include "libom/abi/home.h"
#include "libom/abi/layout.h"
#include "libom/abi/thread.h"

namespace om::deputy {

inline uint64_t address_of(const void* p) { return reinterpret_cast<uint64_t>(p); }

class MadeUpHome {
 public:
  static constexpr uint32_t kSlots = 4;
  static constexpr uint64_t kImage = 0x7000000000;  // nothing is there

  MadeUpHome() : side(::getpid()) {
    auto memory = ProcessMemory::open(::getpid());
    REQUIRE(memory.ok());
    Target target{::getpid(), std::move(*memory), {}, {}};
    target.anchor.image_lo = kImage;
    target.anchor.image_hi = kImage + kPageSize;
    side.target.emplace(std::move(target));
    arena_ = ::mmap(nullptr, arena_bytes(kSlots), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(arena_ != MAP_FAILED);
    side.arena = side.state.arena = address_of(arena_);
    side.state.nslots = side.state.slots_ready = kSlots;
  }
  ~MadeUpHome() { ::munmap(arena_, arena_bytes(kSlots)); }
  MadeUpHome(const MadeUpHome&) = delete;
  MadeUpHome& operator=(const MadeUpHome&) = delete;

  // A thread in slot `slot`, or in the program if that is negative.
  static StoppedThread thread(const HomeSide& home, pid_t tid, int slot) {
    StoppedThread t(tid);
    t.inner_tid = tid;
    t.regs.orig_rax = ~0ull;
    t.regs.rsp = slot < 0 ? 0x1000 : home.stack_of(static_cast<uint32_t>(slot)) - 256;
    return t;
  }
  // Makes `t` look stopped in the call `nr`, which returned `rax`.
  static void in_call(StoppedThread& t, uint64_t nr, int64_t rax, const uint64_t (&args)[6]) {
    t.regs.orig_rax = nr;
    t.regs.rax = static_cast<uint64_t>(rax);
    t.regs.rip = behind();
    unsigned long long* const in_order[] = {&t.regs.rdi, &t.regs.rsi, &t.regs.rdx,
                                            &t.regs.r10, &t.regs.r8,  &t.regs.r9};
    for (size_t i = 0; i < 6; i++) *in_order[i] = args[i];
  }
  // The program's system call instruction, and where a thread is after the call.
  static uint64_t at() { return behind() - 2; }
  static uint64_t behind() { return address_of(kCode) + sizeof kCode; }

  HomeSide side;

 private:
  static constexpr unsigned char kCode[] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x0f, 0x05};

  void* arena_;
};

}  // namespace om::deputy
