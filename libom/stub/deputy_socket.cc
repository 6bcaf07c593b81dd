// SPDX-License-Identifier: Apache-2.0
//
// What executors tell the deputy, and how one gets a new channel when its own has broken. All of it uses the deputy
// socket, which needs no name that the program's file system or network could lack. After its deputy's death another
// deputy replaces it with a new socket (deputy/home/connect_socket.cc) under the same number; until then executors
// wait.
#include "libom/stub/deputy_socket.h"

#include "libom/abi/kernel.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/stream.h"
#include "libom/safe/syscall.h"
#include "libom/safe/unix_fd.h"
#include "libom/stub/crowded.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"

namespace om::stub {
namespace {

using safe::sys;

constexpr long kShutRdwr = 2;
constexpr long kAfUnix = 1, kSockSeqpacket = 5, kSockCloexec = 02000000;
constexpr int64_t kRetryNs = 50000000;

void pause_a_moment() {
  k::Timespec ts{0, kRetryNs};
  sys(kNr_nanosleep, &ts, 0);
}

// Moves a descriptor to a number of ours, above those that the program can see. After a failure `fd` is still open.
long place_at(int want, long fd) {
  if (fd < 0 || fd == want) return fd;
  // The number may lie above the soft limit: raise it for the moment, as the deputy did at capture. One thread at a
  // time: another would save the raised limit and restore that, or fail under the lowered one. And no signals: the
  // catcher may get here.
  const uint64_t all = ~uint64_t{0};
  uint64_t mask = 0;
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &all, &mask, 8);
  safe::lock(&g_home.place_lock);
  constexpr long kNofile = 7;
  uint64_t limit[2], raised[2];
  sys(kNr_prlimit64, 0, kNofile, 0, limit);
  raised[0] = limit[0] > static_cast<uint64_t>(want) ? limit[0] : static_cast<uint64_t>(want) + 1;
  raised[1] = limit[1];
  if (raised[0] != limit[0]) sys(kNr_prlimit64, 0, kNofile, raised, 0);
  const long r = sys(kNr_dup3, fd, want, static_cast<long>(k::kOCloexec));
  if (raised[0] != limit[0]) sys(kNr_prlimit64, 0, kNofile, limit, 0);
  safe::unlock(&g_home.place_lock);
  sys(kNr_rt_sigprocmask, k::kSigSetmask, &mask, 0, 8);
  if (r >= 0) sys(kNr_close, fd);
  return r;
}

int number_of(const HomeThread* t) { return g_home.fd_base + 1 + static_cast<int>(t->slot); }

long place(const HomeThread* t, long fd) { return place_at(number_of(t), fd); }

// Whether nobody is at the other end of the deputy socket (any more).
bool deputy_is_dead() {
  uint8_t byte;
  const long r = sys(kNr_recvfrom, g_home.deputy_fd, &byte, 1, k::kMsgPeek | k::kMsgDontwait, 0, 0);
  return r == 0 || (r < 0 && r != -k::kEAGAIN && r != -k::kEINTR);
}

// Makes one request to the deputy. Descriptor of the new channel, whose keys are then in `keys`, or -errno.
long ask(HomeThread* t, ChannelKeys& keys) {
  int32_t ends[2];
  long r = sys(kNr_socketpair, kAfUnix, kSockSeqpacket | kSockCloexec, 0, ends);
  if (r == -k::kEMFILE) return ask_here(t, number_of(t), keys);
  if (r != 0) return r;
  // While it waits our end uses the channel's number: low numbers are the program's.
  const long s = place(t, ends[0]);
  if (s < 0) {
    sys(kNr_close, ends[0]);
    sys(kNr_close, ends[1]);
    return s;
  }
  r = send_request(t, ends[1]);
  sys(kNr_close, ends[1]);
  // Keep `s` open: if its number were free the program might get it.
  return r == 0 ? receive_channel(s, 0, keys) : r;
}

}  // namespace

// Context: exec
long send_request(const HomeThread* t, int32_t end) {
  FetchRequest q{};
  q.magic = kFetchMagic;
  safe::copy_bytes(q.session_id, g_home.session_id, sizeof q.session_id);
  q.slot = t->slot;
  q.epoch = g_home.epoch;
  q.tid = t->tid;
  q.here = end < 0 ? 1 : 0;
  q.member = g_home.member;
  const long r = safe::send_with_fd(g_home.deputy_fd, &q, sizeof q, end);
  if (r < 0) return r;
  return r == sizeof q ? 0 : -k::kEAGAIN;
}

// Context: exec
long receive_channel(long s, uint32_t flags, ChannelKeys& keys) {
  FetchReply reply{};
  int32_t fd;
  const long r = safe::receive_with_fd(s, &reply, sizeof reply, flags, fd);
  const bool usable = reply.keys.cipher == kChannelPlain || safe::can_seal(reply.keys.cipher);
  keys = reply.keys;
  safe::wipe(&reply, sizeof reply);
  if (r == sizeof reply && fd >= 0 && usable) return fd;
  if (fd >= 0) {
    // The body relies on a channel that nobody serves.
    sys(kNr_shutdown, fd, kShutRdwr);
    sys(kNr_close, fd);
  }
  return -k::kEAGAIN;
}

// Context: exec, catch
void tell_deputy(uint32_t type, uint32_t slot, uint64_t a) {
  const HomeMessage m{type, slot, g_home.member, 0, a};
  for (;;) {
    const long r = sys(kNr_sendto, g_home.deputy_fd, &m, sizeof m, k::kMsgNosignal, 0, 0);
    // EBADF: a deputy that died during a homecoming had already closed it.
    if (r != -k::kEPIPE && r != -k::kECONNRESET && r != -k::kENOTCONN && r != -k::kEBADF) return;
    // The deputy has died. The next one kicks every thread; other messages that it needs wait for it.
    if (type != kHomeWantHome) return;
    pause_a_moment();
  }
}

// Context: exec
void fetch_channel(HomeThread* t) {
  const uint32_t before = t->phase;
  t->phase = kExecFetch;
  t->call.sent = 0;
  // The deputy holds the socket, too: without a shutdown the body would not see that its bytes were refused.
  // It stays open until the next channel takes its number.
  if (t->channel.fd >= 0) sys(kNr_shutdown, t->channel.fd, kShutRdwr);
  safe::detach(t->channel, seal_of(t));
  ChannelKeys keys{};
  for (;;) {
    const long fd = ask(t, keys);
    if (fd >= 0) {
      const long r = place(t, fd);
      if (r >= 0) {
        safe::attach(t->channel, seal_of(t), static_cast<int32_t>(r), keys);
        safe::wipe(&keys, sizeof keys);
        // No call of the program runs without a deputy socket: its closing is how the deputy notices execve.
        while (deputy_is_dead()) pause_a_moment();
        break;
      }
      // This was the only descriptor of a channel that the body relies on.
      sys(kNr_shutdown, fd, kShutRdwr);
      sys(kNr_close, fd);
    }
    // The deputy has no new connection yet, or is being replaced.
    pause_a_moment();
  }
  t->phase = before;
}

}  // namespace om::stub
