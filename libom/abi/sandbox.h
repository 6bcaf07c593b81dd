// SPDX-License-Identifier: Apache-2.0
//
// What a body may ask of the other node's kernel in the calls whose arguments matter: the rows name these lists
// (body= in syscalls.tbl), the filter (libom/restore/filter.cc) lets nothing else through, and the gate complies.
// Anything else goes home or is requested in another way. Left out on purpose: huge pages, which the node has
// reserved for others; page merging, which reveals what others have; priority inheritance, whose owners are the
// node's own processes; barriers that halt every process of the node.
#pragma once

#include <stdint.h>

#include "libom/abi/kernel.h"

namespace om {

// The body's connection to its keeper, the only source of descriptors.
constexpr uint32_t kKeeperFd = 3;
constexpr uint32_t kMayReceive[] = {kKeeperFd};

// A thread, and nothing else.
constexpr uint32_t kMayClone[] = {static_cast<uint32_t>(k::kCloneVm | k::kCloneFs | k::kCloneFiles |
                                                        k::kCloneSighand | k::kCloneThread |
                                                        k::kCloneSysvsem)};

constexpr uint32_t kMayArchPrctl[] = {k::kArchSetFs, k::kArchGetFs, k::kArchSetGs};

// mmap: the first two are required, the others optional.
constexpr uint32_t kMayMapAlways = k::kMapPrivate | k::kMapAnonymous;
constexpr uint32_t kMayMap = kMayMapAlways | k::kMapFixed | k::kMapFixedNoreplace | k::kMap32bit |
                             k::kMapNoreserve | k::kMapPopulate | k::kMapNonblock | k::kMapStack;

// futex: with or without these flags. The frequent operations come first.
constexpr uint32_t kFutexFlags = k::kFutexPrivate | k::kFutexClockRealtime;
constexpr uint32_t kMayFutex[] = {k::kFutexWait,       k::kFutexWake,       k::kFutexWaitBitset,
                                  k::kFutexWakeBitset, k::kFutexCmpRequeue, k::kFutexRequeue,
                                  k::kFutexWakeOp};

constexpr uint32_t kMayAdvise[] = {
    k::kMadvDontneed,      k::kMadvFree,     k::kMadvDontneedLocked, k::kMadvGuardInstall,
    k::kMadvNormal,        k::kMadvRandom,   k::kMadvSequential,     k::kMadvWillneed,
    k::kMadvDontfork,      k::kMadvDofork,   k::kMadvUnmergeable,    k::kMadvHugepage,
    k::kMadvNohugepage,    k::kMadvDontdump, k::kMadvDodump,         k::kMadvWipeonfork,
    k::kMadvKeeponfork,    k::kMadvCold,     k::kMadvPageout,        k::kMadvPopulateRead,
    k::kMadvPopulateWrite, k::kMadvCollapse,
};

constexpr uint32_t kMayBarrier[] = {
    k::kBarrierPrivate,      k::kBarrierSyncCore,      k::kBarrierRseq,
    k::kBarrierPrivate << 1, k::kBarrierSyncCore << 1, k::kBarrierRseq << 1,  // to register
};

}  // namespace om
