// SPDX-License-Identifier: Apache-2.0
//
// Calls that the deputy's stop cuts short. The kernel answers with what went through so far, which the program
// would take for the whole result, or with EINTR if its socket has a timeout (SO_RCVTIMEO, SO_SNDTIMEO), and forgets
// how long the call had waited. Further calls do the rest (abi/rest.h), and the sum is the result. Meanwhile exec_nr
// may be another call's: a homecoming sees from that, and from exec.done, that the thread has to end the call here
// (HomeThread::late).
#include "libom/stub/rest.h"

#include "libom/abi/kernel.h"
#include "libom/abi/rest.h"
#include "libom/safe/atomic.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"

namespace om::stub {
namespace {

constexpr uint32_t kMaxVector = 1024;  // UIO_MAXIOV
using Rest = RestOfCall<kMaxVector>;

// In the slot's landing stack, which only a body uses.
static_assert(sizeof(Rest) <= kSlotLent - kSlotLanding);
Rest& rest_place(HomeThread* t) { return *reinterpret_cast<Rest*>(slot_base(t) + kSlotLanding); }

bool has_signal(const HomeThread* t) {
  return (t->call.wire_flags & kCallSignals) != 0 && noted(t) > t->noted_sent;
}

// The kernel that abi/rest.h asks here: the executor's, in the window.
struct InWindow {
  HomeThread* t;
  const Rest* rest;

  long call(uint64_t nr, const uint64_t args[6]) {
    HomeExec& e = t->call;
    e.exec_nr = static_cast<uint32_t>(nr);
    for (int i = 0; i < 6; i++) e.exec_args[i] = args[i];
    e.done = rest->done;
    t->interrupted = 0;
    const long r = window(t);
    return r == safe::kAborted ? -k::kEINTR : r;
  }
  bool again(long r) const { return r == -k::kEINTR && stopped(); }
  bool stopped() const { return is_stopped(t) && !has_signal(t); }
  uint64_t now_ns() const { return monotonic_ns(); }
  bool load(uint64_t from, uint64_t* to, uint64_t words) const {
    return read_memory(t, to, from, words * sizeof *to);
  }
  void store_u32(uint64_t to, uint32_t value) const { write_memory(t, to, &value, sizeof value); }
};

long socket_option(const HomeExec& e, long name, void* to, uint32_t bytes) {
  return safe::sys(kNr_getsockopt, e.exec_args[0], k::kSolSocket, name, to, &bytes);
}

// `done`: bytes or messages before the stop.
SocketTime socket_time(HomeThread* t, uint64_t done) {
  constexpr long kSoType = 3, kSoRcvtimeo = 20, kSoSndtimeo = 21, kSoDomain = 39;
  constexpr int32_t kAfUnix = 1, kStream = 1, kSeqpacket = 5;
  const HomeExec& e = t->call;
  const SocketWait w = socket_wait_of(e.nr, e.exec_args);
  int64_t tv[2] = {};
  int32_t domain = 0, type = 0;
  if (!w.waits || socket_option(e, w.sends ? kSoSndtimeo : kSoRcvtimeo, tv, sizeof tv) != 0)
    return {};
  SocketTime s{};
  s.timeout_ns = tv[0] * 1000000000 + tv[1] * 1000;
  if (s.timeout_ns <= 0) return {};
  socket_option(e, kSoDomain, &domain, sizeof domain);
  socket_option(e, kSoType, &type, sizeof type);
  s.seqpacket = type == kSeqpacket;
  s.renews = w.sends && domain == kAfUnix && type == kStream;
  const bool renewed =
      done > 0 && (s.renews || transfer_of(e.nr, e.exec_args).shape == Shape::kMessages);
  // Only the deputy knows, roughly, when the last part of such a transfer was done.
  const auto waited =
      renewed ? int64_t{t->idle_ms} * 1000000 : static_cast<int64_t>(monotonic_ns() - e.started_ns);
  s.left_ns = s.timeout_ns - waited;
  return s;
}

// Whether the message at `header` of an array has fewer bytes (its msg_len) than its vector has room for.
bool message_is_cut(HomeThread* t, uint64_t header) {
  uint64_t h[rest::kHeaderWords], sum = 0;
  if (!read_memory(t, h, header, sizeof h)) return false;
  for (uint64_t i = 0; i < h[kMsgVectors] && i < kMaxVector; i++) {
    k::Iovec v;
    if (!read_memory(t, &v, h[kMsgVector] + i * sizeof v, sizeof v)) return false;
    sum += v.len;
  }
  return (h[rest::kHeaderWords - 1] & 0xffffffff) < sum;
}

// Bytes that the program asked for; 0 if unknown.
uint64_t wanted(HomeThread* t, const Transfer& x) {
  const HomeExec& e = t->call;
  if (x.shape == Shape::kBuffer || x.shape == Shape::kCount) return e.exec_args[x.count];
  uint64_t at = e.exec_args[1], n = e.exec_args[2], total = 0;
  if (x.shape == Shape::kMessage) {
    k::Msghdr h;
    if (!read_memory(t, &h, at, sizeof h)) return 0;
    at = h.iov;
    n = h.iovlen;
  }
  for (uint64_t i = 0; i < n && n <= kMaxVector; i++) {
    k::Iovec v;
    if (!read_memory(t, &v, at + i * sizeof v, sizeof v)) return 0;
    total += v.len;
  }
  return total;
}

}  // namespace

// Context: exec
bool is_cut_short(HomeThread* t, long done) {
  const HomeExec& e = t->call;
  const Transfer x = transfer_of(e.nr, e.exec_args);
  if (done <= 0 || x.shape == Shape::kNone) return false;
  const auto n = static_cast<uint64_t>(done);
  if (x.shape != Shape::kMessages) return n < wanted(t, x);
  uint64_t left[2] = {1, 0};
  // Its own timeout ends it after a message.
  const WaitDesc& w = wait_desc(e.nr);
  const uint64_t timeout = w.between != 0 ? e.exec_args[w.between] : 0;
  if (timeout != 0 &&
      (!read_memory(t, left, timeout, sizeof left) || (left[0] == 0 && left[1] == 0)))
    return false;
  return n < e.exec_args[2] || (transfers_parts(w, e.exec_args[3]) &&
                                message_is_cut(t, e.exec_args[1] + (n - 1) * rest::kHeaderBytes));
}

// Context: exec
bool has_socket_timeout(HomeThread* t) {
  return t->call.started_ns != 0 && socket_time(t, 0).timeout_ns > 0;
}

// Context: exec
long do_rest_of_call(HomeThread* t, long done) {
  HomeExec& e = t->call;
  Rest& f = rest_place(t);
  InWindow window{t, &f};
  uint64_t original[6];
  for (int i = 0; i < 6; i++) original[i] = e.exec_args[i];
  const uint32_t nr = e.exec_nr;
  const auto before = static_cast<uint64_t>(done > 0 ? done : 0);
  int64_t limit_ns = -1;
  const uint32_t between = wait_desc(nr).between;
  if (between != 0 && e.deadline_ns != 0) {
    limit_ns = static_cast<int64_t>(e.deadline_ns - monotonic_ns());
    if (limit_ns < 0) limit_ns = 0;
  }
  if (!prepare_rest(f, window, reinterpret_cast<uint64_t>(&f), nr, original, before,
                    socket_time(t, before), limit_ns))
    return done;
  const long r = do_rest(f, window);
  e.done = 0;
  e.exec_nr = nr;
  for (int i = 0; i < 6; i++) e.exec_args[i] = original[i];
  if (f.limited && r > 0) write_memory(t, original[between], f.limit, sizeof f.limit);
  return r;
}

}  // namespace om::stub
