// SPDX-License-Identifier: Apache-2.0
//
// om-body: the tiny static program that the keeper executes to get a clean process. It maps the addresses
// that libom has at home (they are free here, or the keeper tries again with a new process), lets the keeper
// write libom's pages there, installs the filter, and jumps. It belongs to the node, not to the guest: the
// filter is in force before the first byte from home is executed.
//
// Freestanding; its own system call instructions lie outside the gate and are dead once the filter is on.
#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/abi/sockets.h"
#include "libom/restore/filter.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/unix_fd.h"

extern "C" [[noreturn]] void om_launch(void);

namespace om::restore {
namespace {

constexpr int kBadKeeper = 70, kNoFilter = 71;

long sys(long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0, uint64_t e = 0,
         uint64_t f = 0) {
  long r;
  register uint64_t r10 asm("r10") = d;
  register uint64_t r8 asm("r8") = e;
  register uint64_t r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(r)
               : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return r;
}

[[noreturn]] void die(int status) {
  for (;;) sys(kNr_exit_group, static_cast<uint64_t>(status));
}

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

long take_place(uint64_t lo, uint64_t hi, uint32_t prot) {
  const long r = sys(kNr_mmap, lo, hi - lo, prot,
                     k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapFixedNoreplace,
                     ~uint64_t{0}, 0);
  if (r < 0 && r > -4096) return r;
  return static_cast<uint64_t>(r) == lo ? 0 : -k::kEEXIST;
}

long map_places(const BodyMessage& m) {
  if (m.a >= m.b || m.slot == 0 || m.slot > kMaxSlots || arena_bytes(m.slot) > m.d)
    return -k::kEINVAL;
  if (m.e < m.a || m.f > m.b || m.e >= m.f) return -k::kEINVAL;
  long r = take_place(m.a, m.b, k::kProtRead | k::kProtWrite);
  if (r != 0) return r;
  r = take_place(m.c, m.c + m.d, k::kProtNone);
  if (r != 0) return r;
  r = sys(kNr_mprotect, m.c + kControlTitle, kControlTitleSize + kControlPlanSize,
          k::kProtRead | k::kProtWrite);
  for (uint32_t i = 0; i < m.slot && r == 0; i++) {
    r = sys(kNr_mprotect, slot_address(m.c, i) + kSlotGuard, kSlotSize - kSlotGuard,
            k::kProtRead | k::kProtWrite);
  }
  return r;
}

// Maps all of a memory object: the program's mappings will be views of this mapping.
void map_object(const BodyMessage& m, int32_t fd) {
  const uint64_t bytes = m.b - m.a;
  long r = -k::kEINVAL;
  if (m.a < m.b && fd >= 0) {
    r = sys(kNr_mmap, m.a, bytes, k::kProtRead | k::kProtWrite,
            k::kMapShared | k::kMapNoreserve | k::kMapFixedNoreplace, static_cast<uint64_t>(fd), 0);
    sys(kNr_close, static_cast<uint64_t>(fd));
  }
  if (r == static_cast<long>(m.a)) return;
  BodyMessage reply;
  safe::set_bytes(&reply, 0, sizeof reply);
  reply.type = kBodyRestored;
  reply.a = static_cast<uint64_t>(r < 0 ? r : -k::kEEXIST);
  reply.b = m.a;
  sys(kNr_write, kKeeperFd, address(&reply), sizeof reply);
}

// Receives the next message and the descriptor that it brings, -1 none.
long receive(void* to, uint64_t bytes, int32_t& fd) {
  safe::FdMessage message(to, bytes);
  long n;
  do {
    n = sys(kNr_recvmsg, kKeeperFd, message.header(), k::kMsgCmsgCloexec);
  } while (n == -k::kEINTR);
  fd = n > 0 ? message.fd() : -1;
  return n;
}

void read_message(BodyMessage& m, LaunchSegment* segments, uint64_t room) {
  struct {
    BodyMessage m;
    LaunchSegment s[kMaxSegments];
  } in;
  int32_t fd = -1;
  long n = receive(&in, sizeof in, fd);
  while (n == static_cast<long>(sizeof in.m) && in.m.type == kBodyObject) {
    map_object(in.m, fd);
    n = receive(&in, sizeof in, fd);
  }
  if (n < static_cast<long>(sizeof in.m)) die(kBadKeeper);
  m = in.m;
  const uint64_t got = (static_cast<uint64_t>(n) - sizeof in.m) / sizeof(LaunchSegment);
  for (uint64_t i = 0; i < got && i < room; i++) segments[i] = in.s[i];
  if (m.type == kBodyEnter && (m.c > got || m.c > room)) die(kBadKeeper);
}

// The kernel names a program that is executed by its descriptor after that.
void take_name() {
  constexpr uint64_t kPrSetName = 15;
  sys(kNr_prctl, kPrSetName, address("om-body"));
}

// Makes ps show the keeper's text in the arena, because the restorer unmaps the stack with the arguments. Best effort:
// a kernel without CONFIG_CHECKPOINT_RESTORE refuses, and ps then shows none.
void take_title(const BodyMessage& launch) {
  sys(kNr_prctl, k::kPrSetMm, k::kPrSetMmMap, launch.c + kControlTitle, sizeof(k::PrctlMmMap));
}

void confine(const BodyMessage& launch) {
  BpfInstruction filter[kMaxFilter];
  struct {
    uint16_t len;
    uint64_t filter;
  } program;
  program.len = static_cast<uint16_t>(build_filter(launch.e, launch.f, filter));
  program.filter = address(filter);
  constexpr uint64_t kPrSetNoNewPrivs = 38, kSetModeFilter = 1;
  if (program.len == 0 || sys(kNr_prctl, kPrSetNoNewPrivs, 1) != 0 ||
      sys(kNr_seccomp, kSetModeFilter, 0, address(&program)) != 0) {
    die(kNoFilter);
  }
}

}  // namespace
}  // namespace om::restore

using namespace om;
using namespace om::restore;

// Context: restore
void om_launch() {
  BodyMessage launch, enter, reply;
  LaunchSegment segments[kMaxSegments];
  take_name();
  read_message(launch, segments, 0);
  if (launch.type != kBodyLaunch) die(kBadKeeper);
  safe::set_bytes(&reply, 0, sizeof reply);
  reply.type = kBodyMapped;
  reply.a = static_cast<uint64_t>(map_places(launch));
  sys(kNr_write, kKeeperFd, address(&reply), sizeof reply);
  read_message(enter, segments, kMaxSegments);
  if (enter.type != kBodyEnter || enter.a < launch.a || enter.a >= launch.b) die(kBadKeeper);
  for (uint64_t i = 0; i < enter.c; i++) {
    if (segments[i].lo < launch.a || segments[i].hi > launch.b || segments[i].lo >= segments[i].hi)
      die(kBadKeeper);
    sys(kNr_mprotect, segments[i].lo, segments[i].hi - segments[i].lo, segments[i].prot & 7);
  }
  take_title(launch);
  confine(launch);
  const uint64_t stack = slot_address(launch.c, 0) + kSlotStack + kSlotStackSize - 64;
  const uint64_t block = slot_address(launch.c, 0) + kSlotBlock;
  asm volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%1; hlt"
               :
               : "r"(stack), "r"(enter.a), "D"(block)
               : "memory");
  die(kBadKeeper);
}

asm(".text\n.globl _start\n.type _start, @function\n_start:\n xor %ebp, %ebp\n and $-16, %rsp\n "
    "call om_launch\n hlt\n");
