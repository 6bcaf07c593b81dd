// SPDX-License-Identifier: Apache-2.0
//
// libom/abi/kernel.h repeats what freestanding code needs of the kernel's interface: it must have the same numbers and
// layouts as the system's headers. Compiling is the test.
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <doctest/doctest.h>

#include "libom/abi/kernel.h"

namespace k = om::k;

#define OM_SAME(ours, theirs) \
  static_assert(static_cast<unsigned long long>(k::ours) == static_cast<unsigned long long>(theirs))

OM_SAME(kEPERM, EPERM);
OM_SAME(kENOENT, ENOENT);
OM_SAME(kESRCH, ESRCH);
OM_SAME(kEINTR, EINTR);
OM_SAME(kEBADF, EBADF);
OM_SAME(kEAGAIN, EAGAIN);
OM_SAME(kENOMEM, ENOMEM);
OM_SAME(kEFAULT, EFAULT);
OM_SAME(kEEXIST, EEXIST);
OM_SAME(kEINVAL, EINVAL);
OM_SAME(kEMFILE, EMFILE);
OM_SAME(kEPIPE, EPIPE);
OM_SAME(kENAMETOOLONG, ENAMETOOLONG);
OM_SAME(kENOSYS, ENOSYS);
OM_SAME(kEPROTO, EPROTO);
OM_SAME(kEMSGSIZE, EMSGSIZE);
OM_SAME(kECONNRESET, ECONNRESET);
OM_SAME(kENOTCONN, ENOTCONN);
OM_SAME(kSIGILL, SIGILL);
OM_SAME(kSIGTRAP, SIGTRAP);
OM_SAME(kSIGABRT, SIGABRT);
OM_SAME(kSIGBUS, SIGBUS);
OM_SAME(kSIGFPE, SIGFPE);
OM_SAME(kSIGSEGV, SIGSEGV);
OM_SAME(kSIGPIPE, SIGPIPE);
OM_SAME(kSIGQUIT, SIGQUIT);
OM_SAME(kSIGXCPU, SIGXCPU);
OM_SAME(kSIGXFSZ, SIGXFSZ);
OM_SAME(kSIGURG, SIGURG);
OM_SAME(kSIGKILL, SIGKILL);
OM_SAME(kSIGSTOP, SIGSTOP);
OM_SAME(kSIGSYS, SIGSYS);
OM_SAME(kSaSiginfo, SA_SIGINFO);
OM_SAME(kSaOnstack, SA_ONSTACK);
OM_SAME(kSaRestart, SA_RESTART);
OM_SAME(kSaNodefer, SA_NODEFER);
OM_SAME(kSaResethand, SA_RESETHAND);
OM_SAME(kSigBlock, SIG_BLOCK);
OM_SAME(kSigUnblock, SIG_UNBLOCK);
OM_SAME(kSigSetmask, SIG_SETMASK);
OM_SAME(kSsOnstack, SS_ONSTACK);
OM_SAME(kSsDisable, SS_DISABLE);
OM_SAME(kFpMagic1, FP_XSTATE_MAGIC1);
OM_SAME(kFpMagic2, FP_XSTATE_MAGIC2);
OM_SAME(kPrSetMm, PR_SET_MM);
OM_SAME(kPrSetMmMap, PR_SET_MM_MAP);
OM_SAME(kProtNone, PROT_NONE);
OM_SAME(kProtRead, PROT_READ);
OM_SAME(kProtWrite, PROT_WRITE);
OM_SAME(kProtExec, PROT_EXEC);
OM_SAME(kMapShared, MAP_SHARED);
OM_SAME(kMapPrivate, MAP_PRIVATE);
OM_SAME(kMapSharedValidate, MAP_SHARED_VALIDATE);
OM_SAME(kMapTypeMask, MAP_TYPE);
OM_SAME(kMapFixed, MAP_FIXED);
OM_SAME(kMapAnonymous, MAP_ANONYMOUS);
OM_SAME(kMap32bit, MAP_32BIT);
OM_SAME(kMapGrowsdown, MAP_GROWSDOWN);
OM_SAME(kMapLocked, MAP_LOCKED);
OM_SAME(kMapNoreserve, MAP_NORESERVE);
OM_SAME(kMapPopulate, MAP_POPULATE);
OM_SAME(kMapNonblock, MAP_NONBLOCK);
OM_SAME(kMapStack, MAP_STACK);
OM_SAME(kMapHugetlb, MAP_HUGETLB);
OM_SAME(kMapSync, MAP_SYNC);
OM_SAME(kMapFixedNoreplace, MAP_FIXED_NOREPLACE);
OM_SAME(kMremapMaymove, MREMAP_MAYMOVE);
OM_SAME(kMremapFixed, MREMAP_FIXED);
OM_SAME(kMremapDontunmap, MREMAP_DONTUNMAP);
OM_SAME(kMadvNormal, MADV_NORMAL);
OM_SAME(kMadvRandom, MADV_RANDOM);
OM_SAME(kMadvSequential, MADV_SEQUENTIAL);
OM_SAME(kMadvWillneed, MADV_WILLNEED);
OM_SAME(kMadvDontneed, MADV_DONTNEED);
OM_SAME(kMadvFree, MADV_FREE);
OM_SAME(kMadvRemove, MADV_REMOVE);
OM_SAME(kMadvDontfork, MADV_DONTFORK);
OM_SAME(kMadvDofork, MADV_DOFORK);
OM_SAME(kMadvMergeable, MADV_MERGEABLE);
OM_SAME(kMadvUnmergeable, MADV_UNMERGEABLE);
OM_SAME(kMadvHugepage, MADV_HUGEPAGE);
OM_SAME(kMadvNohugepage, MADV_NOHUGEPAGE);
OM_SAME(kMadvDontdump, MADV_DONTDUMP);
OM_SAME(kMadvDodump, MADV_DODUMP);
OM_SAME(kMadvWipeonfork, MADV_WIPEONFORK);
OM_SAME(kMadvKeeponfork, MADV_KEEPONFORK);
OM_SAME(kMadvCold, MADV_COLD);
OM_SAME(kMadvPageout, MADV_PAGEOUT);
OM_SAME(kMadvPopulateRead, MADV_POPULATE_READ);
OM_SAME(kMadvPopulateWrite, MADV_POPULATE_WRITE);
OM_SAME(kBarrierGlobal, MEMBARRIER_CMD_GLOBAL);
OM_SAME(kBarrierPrivate, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
OM_SAME(kBarrierSyncCore, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
OM_SAME(kBarrierRseq, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
OM_SAME(kCloneVm, CLONE_VM);
OM_SAME(kCloneFs, CLONE_FS);
OM_SAME(kCloneFiles, CLONE_FILES);
OM_SAME(kCloneSighand, CLONE_SIGHAND);
OM_SAME(kCloneVfork, CLONE_VFORK);
OM_SAME(kCloneThread, CLONE_THREAD);
OM_SAME(kCloneSysvsem, CLONE_SYSVSEM);
OM_SAME(kCloneSettls, CLONE_SETTLS);
OM_SAME(kCloneParentSettid, CLONE_PARENT_SETTID);
OM_SAME(kCloneChildCleartid, CLONE_CHILD_CLEARTID);
OM_SAME(kCloneDetached, CLONE_DETACHED);
OM_SAME(kCloneUntraced, CLONE_UNTRACED);
OM_SAME(kCloneChildSettid, CLONE_CHILD_SETTID);
OM_SAME(kCloneIo, CLONE_IO);
OM_SAME(kArchSetGs, ARCH_SET_GS);
OM_SAME(kArchSetFs, ARCH_SET_FS);
OM_SAME(kArchGetFs, ARCH_GET_FS);
OM_SAME(kArchGetGs, ARCH_GET_GS);
OM_SAME(kClockRealtime, CLOCK_REALTIME);
OM_SAME(kClockMonotonic, CLOCK_MONOTONIC);
OM_SAME(kClockProcessCpu, CLOCK_PROCESS_CPUTIME_ID);
OM_SAME(kClockThreadCpu, CLOCK_THREAD_CPUTIME_ID);
OM_SAME(kClockMonotonicRaw, CLOCK_MONOTONIC_RAW);
OM_SAME(kClockRealtimeCoarse, CLOCK_REALTIME_COARSE);
OM_SAME(kClockMonotonicCoarse, CLOCK_MONOTONIC_COARSE);
OM_SAME(kClockBoottime, CLOCK_BOOTTIME);
OM_SAME(kClockRealtimeAlarm, CLOCK_REALTIME_ALARM);
OM_SAME(kClockBoottimeAlarm, CLOCK_BOOTTIME_ALARM);
OM_SAME(kClockTai, CLOCK_TAI);
OM_SAME(kTimerAbstime, TIMER_ABSTIME);
OM_SAME(kFutexWait, FUTEX_WAIT);
OM_SAME(kFutexWake, FUTEX_WAKE);
OM_SAME(kFutexFd, FUTEX_FD);
OM_SAME(kFutexRequeue, FUTEX_REQUEUE);
OM_SAME(kFutexCmpRequeue, FUTEX_CMP_REQUEUE);
OM_SAME(kFutexWakeOp, FUTEX_WAKE_OP);
OM_SAME(kFutexLockPi, FUTEX_LOCK_PI);
OM_SAME(kFutexUnlockPi, FUTEX_UNLOCK_PI);
OM_SAME(kFutexTrylockPi, FUTEX_TRYLOCK_PI);
OM_SAME(kFutexWaitBitset, FUTEX_WAIT_BITSET);
OM_SAME(kFutexWakeBitset, FUTEX_WAKE_BITSET);
OM_SAME(kFutexWaitRequeuePi, FUTEX_WAIT_REQUEUE_PI);
OM_SAME(kFutexCmpRequeuePi, FUTEX_CMP_REQUEUE_PI);
OM_SAME(kFutexLockPi2, FUTEX_LOCK_PI2);
OM_SAME(kFutexPrivate, FUTEX_PRIVATE_FLAG);
OM_SAME(kFutexClockRealtime, FUTEX_CLOCK_REALTIME);
OM_SAME(kFutexWaiters, FUTEX_WAITERS);
OM_SAME(kFutexOwnerDied, FUTEX_OWNER_DIED);
OM_SAME(kFutexTidMask, FUTEX_TID_MASK);
OM_SAME(kAuditArchX86_64, AUDIT_ARCH_X86_64);
OM_SAME(kMsgNosignal, MSG_NOSIGNAL);
OM_SAME(kMsgDontwait, MSG_DONTWAIT);
OM_SAME(kMsgPeek, MSG_PEEK);
OM_SAME(kMsgWaitall, MSG_WAITALL);
OM_SAME(kMsgCtrunc, MSG_CTRUNC);
OM_SAME(kMsgCmsgCloexec, MSG_CMSG_CLOEXEC);
OM_SAME(kSolSocket, SOL_SOCKET);
OM_SAME(kScmRights, SCM_RIGHTS);
OM_SAME(kFDupfd, F_DUPFD);
OM_SAME(kFDupfdCloexec, F_DUPFD_CLOEXEC);
OM_SAME(kOCloexec, O_CLOEXEC);
OM_SAME(kONonblock, O_NONBLOCK);

#define OM_SAME_MEMBER(ours, our_member, theirs, their_member) \
  static_assert(offsetof(k::ours, our_member) == offsetof(theirs, their_member))

static_assert(sizeof(k::StackT) == sizeof(stack_t));
OM_SAME_MEMBER(StackT, flags, stack_t, ss_flags);
OM_SAME_MEMBER(StackT, size, stack_t, ss_size);
static_assert(sizeof(k::Siginfo) == sizeof(siginfo_t));
OM_SAME_MEMBER(Siginfo, code, siginfo_t, si_code);
OM_SAME_MEMBER(Siginfo, fields, siginfo_t, si_pid);
static_assert(sizeof(k::Iovec) == sizeof(iovec));
static_assert(sizeof(k::Msghdr) == sizeof(msghdr));
OM_SAME_MEMBER(Msghdr, control, msghdr, msg_control);
OM_SAME_MEMBER(Msghdr, flags, msghdr, msg_flags);
static_assert(sizeof(k::Cmsghdr) == sizeof(cmsghdr));
OM_SAME_MEMBER(Cmsghdr, type, cmsghdr, cmsg_type);
static_assert(sizeof(k::Timespec) == sizeof(timespec));
static_assert(sizeof(k::PrctlMmMap) == sizeof(prctl_mm_map));
OM_SAME_MEMBER(PrctlMmMap, exe_fd, prctl_mm_map, exe_fd);
OM_SAME_MEMBER(Ucontext, mcontext, ucontext_t, uc_mcontext);
OM_SAME_MEMBER(Ucontext, sigmask, ucontext_t, uc_sigmask);

TEST_CASE("what no header has") {
  CHECK(reinterpret_cast<unsigned long>(SIG_DFL) == k::kSigDfl);
  CHECK(reinterpret_cast<unsigned long>(SIG_IGN) == k::kSigIgn);
}
