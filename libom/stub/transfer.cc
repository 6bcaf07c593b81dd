// SPDX-License-Identifier: Apache-2.0
//
// Transfers that a stop of the deputy cuts short. The kernel answers such a call with the bytes that went
// through so far, which the program would take for the whole result; the rest is transferred by further calls
// and the sum is the result. A signal ends a transfer natively too: then the part is the answer.
//
// Only calls that natively come back short for no other reason than a signal or an error are continued.
#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

// How the arguments of a call describe what is left.
enum class Shape : uint8_t {
  kNone,
  kBuffer,   // buffer in argument 1, count in 2
  kVector,   // iovec in argument 1, their number in 2
  kMessage,  // msghdr in argument 1
  kCount,    // the kernel advances by itself; count in argument `count`
};
struct Transfer {
  Shape shape;
  uint32_t count;
};

constexpr uint64_t kMaxVector = 1024;  // UIO_MAXIOV

Transfer transfer_of(const HomeExec& e) {
  const uint64_t* a = e.exec_args;
  switch (e.exec_nr) {
    case kNr_write:
    case kNr_sendto:
      return {Shape::kBuffer, 2};
    case kNr_recvfrom:
      return {(a[3] & k::kMsgWaitall) ? Shape::kBuffer : Shape::kNone, 2};
    case kNr_writev:
    case kNr_vmsplice:
      return {Shape::kVector, 2};
    case kNr_sendmsg:
      return {Shape::kMessage, 0};
    case kNr_recvmsg:
      return {(a[2] & k::kMsgWaitall) ? Shape::kMessage : Shape::kNone, 0};
    case kNr_sendfile:
      return {Shape::kCount, 3};
    case kNr_splice:
    case kNr_copy_file_range:
      return {Shape::kCount, 4};
    default:
      return {Shape::kNone, 0};
  }
}

// Scratch for a shortened vector: the slot's landing stack, which only a body uses.
struct Scratch {
  k::Msghdr message;
  uint64_t pad;
  k::Iovec vector[kMaxVector];
};
static_assert(sizeof(Scratch) <= kSlotLandingSize);
Scratch& scratch_of(HomeThread* t) {
  return *reinterpret_cast<Scratch*>(slot_base(t) + kSlotLanding);
}

// Where the call's vector is. False if it cannot be read.
bool vector_of(HomeThread* t, Shape shape, uint64_t& at, uint64_t& n) {
  const HomeExec& e = t->call;
  at = e.exec_args[1];
  n = e.exec_args[2];
  if (shape == Shape::kMessage) {
    k::Msghdr h;
    if (!read_memory(t, &h, e.exec_args[1], sizeof h)) return false;
    at = h.iov;
    n = h.iovlen;
  }
  return n <= kMaxVector;
}

// Bytes that the program asked for; 0 when that cannot be told.
uint64_t wanted(HomeThread* t, const Transfer& x) {
  const HomeExec& e = t->call;
  if (x.shape == Shape::kNone) return 0;
  if (x.shape == Shape::kBuffer || x.shape == Shape::kCount) return e.exec_args[x.count];
  uint64_t at, n, total = 0;
  if (!vector_of(t, x.shape, at, n)) return 0;
  for (uint64_t i = 0; i < n; i++) {
    k::Iovec v;
    if (!read_memory(t, &v, at + i * sizeof v, sizeof v)) return 0;
    total += v.len;
  }
  return total;
}

// The vector without its first `done` bytes into the scratch; its number of elements, -1 if unreadable.
long shortened(HomeThread* t, Shape shape, uint64_t done) {
  uint64_t at, n;
  if (!vector_of(t, shape, at, n)) return -1;
  Scratch& s = scratch_of(t);
  long out = 0;
  for (uint64_t i = 0; i < n; i++) {
    k::Iovec v;
    if (!read_memory(t, &v, at + i * sizeof v, sizeof v)) return -1;
    const uint64_t skip = v.len < done ? v.len : done;
    done -= skip;
    if (v.len == skip) continue;
    s.vector[out++] = {v.base + skip, v.len - skip};
  }
  return out;
}

// Puts what is left after `done` of `total` bytes into the arguments. False if it cannot be told.
bool advance(HomeThread* t, const Transfer& x, const uint64_t original[6], uint64_t done,
             uint64_t total) {
  HomeExec& e = t->call;
  for (int i = 0; i < 6; i++) e.exec_args[i] = original[i];
  if (x.shape == Shape::kBuffer) {
    e.exec_args[1] += done;
    e.exec_args[2] = total - done;
    return true;
  }
  if (x.shape == Shape::kCount) {
    e.exec_args[x.count] = total - done;
    return true;
  }
  const long n = shortened(t, x.shape, done);
  if (n < 0) return false;
  Scratch& s = scratch_of(t);
  if (x.shape == Shape::kVector) {
    e.exec_args[1] = reinterpret_cast<uint64_t>(s.vector);
    e.exec_args[2] = static_cast<uint64_t>(n);
    return true;
  }
  // Names and control data went with the first part.
  s.message = {};
  s.message.iov = reinterpret_cast<uint64_t>(s.vector);
  s.message.iovlen = static_cast<uint64_t>(n);
  e.exec_args[1] = reinterpret_cast<uint64_t>(&s.message);
  return true;
}

}  // namespace

// Context: exec
bool is_cut_short(HomeThread* t, long done) {
  return done > 0 && static_cast<uint64_t>(done) < wanted(t, transfer_of(t->call));
}

// Context: exec
long continue_transfer(HomeThread* t, long done) {
  HomeExec& e = t->call;
  const Transfer x = transfer_of(e);
  const uint64_t total = wanted(t, x);
  uint64_t original[6];
  for (int i = 0; i < 6; i++) original[i] = e.exec_args[i];
  while (static_cast<uint64_t>(done) < total && noted(t) == t->noted_sent) {
    t->interrupted = 0;
    if (!advance(t, x, original, static_cast<uint64_t>(done), total)) break;
    e.done = static_cast<uint64_t>(done);
    const long r = window(t);
    // A stop before the first byte of the rest: again.
    if (r == -k::kEINTR && is_stopped(t)) continue;
    if (r <= 0) break;
    done += r;
    if (static_cast<uint64_t>(done) < total && !is_stopped(t)) break;
  }
  e.done = 0;
  for (int i = 0; i < 6; i++) e.exec_args[i] = original[i];
  return done;
}

}  // namespace om::stub
