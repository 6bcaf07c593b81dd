// SPDX-License-Identifier: Apache-2.0
//
// A socket call under SO_RCVTIMEO or SO_SNDTIMEO that a stop of the deputy has interrupted. The kernel gives
// EINTR and forgets how long it had waited, and its timeout is the socket's, not the call's. So the rest of the
// time is spent in ppoll, and the call itself is tried without blocking. Meanwhile exec_nr is ppoll's: a
// homecoming sees by that that the thread has to end the call here (HomeThread::late).
#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

constexpr int64_t kNsPerSec = 1000000000;
constexpr long kSolSocket = 1, kSoRcvtimeo = 20, kSoSndtimeo = 21;
constexpr uint64_t kMsgDontwait = 0x40;
constexpr uint64_t kPollin = 1, kPollout = 4;

struct Wait {
  bool valid, sends;
  uint32_t flags;  // argument with the MSG_ flags
};

Wait wait_of(const HomeExec& e) {
  switch (e.nr) {
    case kNr_recvfrom:
      return {!(e.exec_args[3] & k::kMsgWaitall), false, 3};
    case kNr_recvmsg:
      return {!(e.exec_args[2] & k::kMsgWaitall), false, 2};
    case kNr_sendto:
      return {true, true, 3};
    case kNr_sendmsg:
      return {true, true, 2};
    default:
      return {false, false, 0};
  }
}

int64_t timeout_ns(const HomeExec& e, const Wait& w) {
  int64_t tv[2] = {};
  uint32_t length = sizeof tv;
  if (safe::sys(kNr_getsockopt, e.exec_args[0], kSolSocket, w.sends ? kSoSndtimeo : kSoRcvtimeo, tv,
                &length) != 0)
    return 0;
  return tv[0] * kNsPerSec + tv[1] * 1000;
}

}  // namespace

// Context: exec
bool has_socket_timeout(HomeThread* t) {
  const Wait w = wait_of(t->call);
  return w.valid && t->call.started_ns != 0 && timeout_ns(t->call, w) > 0;
}

// Context: exec
long wait_on_socket(HomeThread* t) {
  HomeExec& e = t->call;
  const Wait w = wait_of(e);
  const int64_t end = static_cast<int64_t>(e.started_ns) + timeout_ns(e, w);
  uint64_t args[6];
  for (int i = 0; i < 6; i++) args[i] = e.exec_args[i];
  const uint32_t nr = e.exec_nr;
  auto restore = [&] {
    e.exec_nr = nr;
    for (int i = 0; i < 6; i++) e.exec_args[i] = args[i];
  };
  for (;;) {
    const int64_t left = end - static_cast<int64_t>(monotonic_ns());
    if (left <= 0) return -k::kEAGAIN;
    t->timespec[0] = static_cast<uint64_t>(left / kNsPerSec);
    t->timespec[1] = static_cast<uint64_t>(left % kNsPerSec);
    t->sigarg[0] = (args[0] & 0xffffffff) | (w.sends ? kPollout : kPollin) << 32;  // struct pollfd
    e.exec_nr = kNr_ppoll;
    e.exec_args[0] = reinterpret_cast<uint64_t>(t->sigarg);
    e.exec_args[1] = 1;
    e.exec_args[2] = reinterpret_cast<uint64_t>(t->timespec);
    e.exec_args[3] = e.exec_args[4] = 0;
    long r = window(t);
    restore();
    if (r < 0) {
      const bool stopped = was_stopped(t);
      if (r == -k::kEINTR && stopped && noted(t) <= t->noted_sent) continue;
      return r;
    }
    e.exec_args[w.flags] |= kMsgDontwait;
    r = window(t);
    restore();
    if (r != -k::kEAGAIN) return r;
  }
}

}  // namespace om::stub
