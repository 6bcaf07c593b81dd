// SPDX-License-Identifier: Apache-2.0
//
// The few kernel structures and constants that freestanding code needs; libc's headers must not be included
// there. Values are x86-64 kernel ABI; test/unit/libom/kernel_abi_test.cc compares them with the system's.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"

namespace om::k {

// errno
constexpr long kEPERM = 1, kENOENT = 2, kESRCH = 3, kEINTR = 4, kEBADF = 9, kEAGAIN = 11,
               kENOMEM = 12, kEFAULT = 14, kEBUSY = 16, kEEXIST = 17, kEINVAL = 22, kEMFILE = 24,
               kEPIPE = 32, kENAMETOOLONG = 36, kENOSYS = 38, kEPROTO = 71, kEBADMSG = 74,
               kEMSGSIZE = 90, kENOTSUP = 95, kECONNRESET = 104, kENOTCONN = 107;

// signals
constexpr uint32_t kSIGILL = 4, kSIGTRAP = 5, kSIGABRT = 6, kSIGBUS = 7, kSIGFPE = 8, kSIGSEGV = 11,
                   kSIGPIPE = 13, kSIGQUIT = 3, kSIGXCPU = 24, kSIGXFSZ = 25, kSIGURG = 23,
                   kSIGKILL = 9, kSIGSTOP = 19, kSIGSYS = 31;
constexpr uint64_t kSaSiginfo = 4, kSaOnstack = 0x08000000, kSaRestart = 0x10000000,
                   kSaNodefer = 0x40000000, kSaResethand = 0x80000000, kSaRestorer = 0x04000000;
constexpr uint64_t kSigDfl = 0, kSigIgn = 1;
constexpr uint32_t kSigBlock = 0, kSigUnblock = 1, kSigSetmask = 2;
constexpr uint64_t sig_bit(uint32_t sig) { return uint64_t{1} << (sig - 1); }
// Signals that end a process with a core unless it handles them.
constexpr uint64_t kCoreSignals = sig_bit(kSIGQUIT) | sig_bit(kSIGILL) | sig_bit(kSIGTRAP) |
                                  sig_bit(kSIGABRT) | sig_bit(kSIGBUS) | sig_bit(kSIGFPE) |
                                  sig_bit(kSIGSEGV) | sig_bit(kSIGXCPU) | sig_bit(kSIGXFSZ) |
                                  sig_bit(kSIGSYS);

constexpr uint32_t kSsOnstack = 1, kSsDisable = 2, kSsAutodisarm = 1u << 31;

struct StackT {
  uint64_t sp;
  uint32_t flags;
  uint32_t pad;
  uint64_t size;
};
static_assert(sizeof(StackT) == 24);

struct Sigcontext {
  uint64_t regs[kGprCount];
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2, fpstate;
  uint64_t reserved[8];
};
static_assert(sizeof(Sigcontext) == 256);

struct Ucontext {
  uint64_t flags;
  uint64_t link;
  StackT stack;
  Sigcontext mcontext;
  uint64_t sigmask;
};
static_assert(sizeof(Ucontext) == 304 && offsetof(Ucontext, mcontext) == 40);
static_assert(offsetof(Ucontext, mcontext.fpstate) == 224);

constexpr uint64_t kUcFpXstate = 1, kUcSigcontextSs = 2, kUcStrictRestoreSs = 4;

struct Siginfo {
  int32_t signo, err, code, pad;
  uint64_t fields[14];
};
static_assert(sizeof(Siginfo) == 128);

// rt_sigframe as the kernel lays it out on the stack of a handler.
struct SigFrame {
  uint64_t pretcode;
  Ucontext uc;
  Siginfo info;
};
static_assert(sizeof(SigFrame) == 440);

// Software-reserved bytes of an XSAVE area in a signal frame.
constexpr uint32_t kFpMagic1 = 0x46505853, kFpMagic2 = 0x46505845;
constexpr uint64_t kFpSwOffset = 464;
struct FpSw {
  uint32_t magic1;
  uint32_t extended_size;
  uint64_t xfeatures;
  uint32_t xstate_size;
  uint32_t pad[7];
};
static_assert(sizeof(FpSw) == 48);
constexpr uint64_t kXsaveHeader = 512;  // XSTATE_BV, XCOMP_BV, reserved

struct Iovec {
  uint64_t base;
  uint64_t len;
};
struct Msghdr {
  uint64_t name;
  uint32_t namelen, pad0;
  uint64_t iov;
  uint64_t iovlen;
  uint64_t control;
  uint64_t controllen;
  uint32_t flags, pad1;
};
static_assert(sizeof(Msghdr) == 56);
struct Cmsghdr {
  uint64_t len;
  int32_t level, type;
};

struct Timespec {
  int64_t sec, nsec;
};

// prctl(PR_SET_MM, PR_SET_MM_MAP): what /proc/PID/cmdline and stat show.
struct PrctlMmMap {
  uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
  uint64_t arg_start, arg_end, env_start, env_end;
  uint64_t auxv;
  uint32_t auxv_size;  // 0: unchanged
  int32_t exe_fd;      // -1: unchanged
};
static_assert(sizeof(PrctlMmMap) == 104);
constexpr uint64_t kPrSetMm = 35, kPrSetMmMap = 14;

// mmap
constexpr uint32_t kProtNone = 0, kProtRead = 1, kProtWrite = 2, kProtExec = 4;
constexpr uint32_t kMapShared = 1, kMapPrivate = 2, kMapSharedValidate = 3, kMapTypeMask = 0xf,
                   kMapFixed = 0x10, kMapAnonymous = 0x20, kMap32bit = 0x40, kMapGrowsdown = 0x100,
                   kMapLocked = 0x2000, kMapNoreserve = 0x4000, kMapPopulate = 0x8000,
                   kMapNonblock = 0x10000, kMapStack = 0x20000, kMapHugetlb = 0x40000,
                   kMapSync = 0x80000, kMapFixedNoreplace = 0x100000;
constexpr uint32_t kMremapMaymove = 1, kMremapFixed = 2, kMremapDontunmap = 4;
constexpr uint32_t kMadvNormal = 0, kMadvRandom = 1, kMadvSequential = 2, kMadvWillneed = 3,
                   kMadvDontneed = 4, kMadvFree = 8, kMadvRemove = 9, kMadvDontfork = 10,
                   kMadvDofork = 11, kMadvMergeable = 12, kMadvUnmergeable = 13, kMadvHugepage = 14,
                   kMadvNohugepage = 15, kMadvDontdump = 16, kMadvDodump = 17, kMadvWipeonfork = 18,
                   kMadvKeeponfork = 19, kMadvCold = 20, kMadvPageout = 21, kMadvPopulateRead = 22,
                   kMadvPopulateWrite = 23, kMadvDontneedLocked = 24, kMadvCollapse = 25,
                   kMadvGuardInstall = 102;
// membarrier: expedited, of this process alone; twice a command's number registers for it.
constexpr uint32_t kBarrierGlobal = 1, kBarrierPrivate = 8, kBarrierSyncCore = 32,
                   kBarrierRseq = 128;

// clone
constexpr uint64_t kCloneVm = 0x100, kCloneFs = 0x200, kCloneFiles = 0x400, kCloneSighand = 0x800,
                   kCloneVfork = 0x4000, kCloneThread = 0x10000, kCloneSysvsem = 0x40000,
                   kCloneSettls = 0x80000, kCloneParentSettid = 0x100000,
                   kCloneChildCleartid = 0x200000, kCloneDetached = 0x400000,
                   kCloneUntraced = 0x800000, kCloneChildSettid = 0x1000000, kCloneIo = 0x80000000;

// arch_prctl, prctl
constexpr uint32_t kArchSetGs = 0x1001, kArchSetFs = 0x1002, kArchGetFs = 0x1003,
                   kArchGetGs = 0x1004;

// clocks
constexpr uint32_t kClockRealtime = 0, kClockMonotonic = 1, kClockProcessCpu = 2,
                   kClockThreadCpu = 3, kClockMonotonicRaw = 4, kClockRealtimeCoarse = 5,
                   kClockMonotonicCoarse = 6, kClockBoottime = 7, kClockRealtimeAlarm = 8,
                   kClockBoottimeAlarm = 9, kClockTai = 11;
constexpr uint32_t kTimerAbstime = 1;

// futex
constexpr uint32_t kFutexWait = 0, kFutexWake = 1, kFutexFd = 2, kFutexRequeue = 3,
                   kFutexCmpRequeue = 4, kFutexWakeOp = 5, kFutexLockPi = 6, kFutexUnlockPi = 7,
                   kFutexTrylockPi = 8, kFutexWaitBitset = 9, kFutexWakeBitset = 10,
                   kFutexWaitRequeuePi = 11, kFutexCmpRequeuePi = 12, kFutexLockPi2 = 13,
                   kFutexPrivate = 128, kFutexClockRealtime = 256;
constexpr uint32_t kFutexWaiters = 0x80000000, kFutexOwnerDied = 0x40000000,
                   kFutexTidMask = 0x3fffffff;

constexpr uint32_t kAuditArchX86_64 = 0xc000003e;
constexpr uint32_t kMsgNosignal = 0x4000, kMsgDontwait = 0x40, kMsgPeek = 2, kMsgWaitall = 0x100,
                   kMsgCtrunc = 8, kMsgCmsgCloexec = 0x40000000;
constexpr int kSolSocket = 1, kScmRights = 1;
constexpr uint32_t kFDupfd = 0, kFDupfdCloexec = 1030;
constexpr uint32_t kOCloexec = 02000000, kONonblock = 04000;

}  // namespace om::k
