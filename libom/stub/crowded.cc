// SPDX-License-Identifier: Apache-2.0
//
// A new channel for a program that has used up its descriptor numbers. The kernel gives a received descriptor the
// lowest free number below the soft limit, and there is none. Raising the program's own limit is no way out: another
// thread's open() would find room that it natively does not have, or one of libom's numbers. So a helper process with
// limits of its own, but with this memory and descriptor table, receives the channel and puts it in its place. If the
// program's limit includes libom's numbers, it is lowered meanwhile so far that the program cannot get the free number
// of this slot.
#include "libom/stub/crowded.h"

#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/lock.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::sys;

constexpr long kNofile = 7;
constexpr long kWclone = 0x80000000;  // children that send no SIGCHLD
constexpr int64_t kNapNs = 1000000;

struct Errand {
  long number;
  bool is_row_full;
  long result;
  ChannelKeys keys;  // of the channel
};

// Waits only by sleeping: a homecoming takes an executor that waits for its channel out of a sleep.
void nap() {
  k::Timespec ts{0, kNapNs};
  sys(kNr_nanosleep, &ts, 0);
}

// Preconditions: place_lock is held, the answer has arrived.
void run_errand(Errand& e) {
  uint64_t limit[2];
  sys(kNr_prlimit64, 0, kNofile, 0, limit);
  limit[0] = limit[1];
  sys(kNr_prlimit64, 0, kNofile, limit, 0);
  // The number belongs to a copy of the deputy socket or a broken channel.
  sys(kNr_close, e.number);
  const long fd = receive_channel(g_home.deputy_fd, k::kMsgDontwait, e.keys);
  e.result = fd;
  if (fd >= 0 && fd != e.number) {
    e.result = sys(kNr_dup3, fd, e.number, static_cast<long>(k::kOCloexec));
    sys(kNr_close, fd);
  }
  if (e.result < 0 && e.is_row_full)
    sys(kNr_dup3, g_home.deputy_fd, e.number, static_cast<long>(k::kOCloexec));
}

void helper_main(void* arg) {
  run_errand(*static_cast<Errand*>(arg));
  for (;;) sys(kNr_exit, 0);
}

long receive_in_helper(long number, ChannelKeys& keys) {
  constexpr uint64_t kFlags = k::kCloneVm | k::kCloneFiles | k::kCloneVfork;
  const uint64_t all = ~uint64_t{0};
  uint64_t mask = 0;
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &all, &mask, 8);
  safe::lock(&g_home.place_lock);
  uint64_t limit[2];
  sys(kNr_prlimit64, 0, kNofile, 0, limit);
  Errand e{number, limit[0] > static_cast<uint64_t>(g_home.fd_base), -k::kEAGAIN, {}};
  const uint64_t lowered[2] = {static_cast<uint64_t>(number), limit[1]};
  if (limit[0] > lowered[0]) sys(kNr_prlimit64, 0, kNofile, lowered, 0);
  alignas(16) uint8_t stack[8192];
  const long pid = om_clone(kFlags, stack + sizeof stack, nullptr, nullptr, helper_main, &e);
  if (pid > 0) {
    while (sys(kNr_wait4, pid, 0, kWclone, 0) == -k::kEINTR) {
    }
  } else {
    // No more processes allowed: then for a moment the program has more room than it should.
    run_errand(e);
  }
  if (pid <= 0 || limit[0] > lowered[0]) sys(kNr_prlimit64, 0, kNofile, limit, 0);
  safe::unlock(&g_home.place_lock);
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &mask, 0, 8);
  keys = e.keys;
  safe::wipe(&e.keys, sizeof e.keys);
  return e.result;
}

// Waits for the answer on the deputy socket. false: there will be none.
bool answer_arrives() {
  for (;;) {
    uint8_t first;
    const long r = sys(kNr_recvfrom, g_home.deputy_fd, &first, sizeof first,
                       k::kMsgPeek | k::kMsgDontwait, 0, 0);
    if (r > 0) return true;
    if (r != -k::kEAGAIN && r != -k::kEINTR) return false;
    nap();
  }
}

}  // namespace

// Context: exec
long ask_here(HomeThread* t, long number, ChannelKeys& keys) {
  while (!safe::compare_exchange(&g_home.asker, 0u, t->slot + 1)) nap();
  long r = send_request(t, -1);
  if (r == 0) r = answer_arrives() ? receive_in_helper(number, keys) : -k::kEAGAIN;
  safe::store_release(&g_home.asker, 0u);
  return r;
}

}  // namespace om::stub
