// SPDX-License-Identifier: Apache-2.0
//
// See stream.h; what concerns sealed channels alone is in sealed_stream.cc.
#include "libom/safe/stream.h"

#include "libom/abi/kernel.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"

namespace om::safe {
namespace {

bool is_transient(long r) { return r == -k::kEINTR || r == -k::kEAGAIN; }

}  // namespace

// Bytes received, kLost, -EFAULT or kAborted.
long Stream::receive_some(void* to, size_t n, volatile uint32_t* cancel) {
  // Both do the same for a socket; recvfrom costs less, and is not among what the filter of a body lets through.
  const long nr = manner_ == Manner::kSend ? kNr_recvfrom : kNr_read;
  const uint64_t args[6] = {static_cast<uint64_t>(state_.fd), reinterpret_cast<uint64_t>(to), n};
  for (;;) {
    const long r = cancel != nullptr ? om_window(cancel, nr, args)
                                     : sys(nr, args[0], args[1], args[2], 0, 0, 0);
    if (r > 0 || r == kAborted || r == -k::kEFAULT) return r;
    if (!is_transient(r)) return kLost;
    if (cancel != nullptr && *cancel != 0) return kAborted;
  }
}

long Stream::send_all(const void* from, size_t n) {
  const auto* at = static_cast<const uint8_t*>(from);
  while (n > 0) {
    const long r = manner_ == Manner::kSend
                       ? sys(kNr_sendto, state_.fd, at, n, k::kMsgNosignal, 0, 0)
                       : sys(kNr_write, state_.fd, at, n);
    if (is_transient(r)) continue;
    if (r <= 0) return r == -k::kEFAULT ? r : kLost;
    at += r;
    n -= static_cast<size_t>(r);
  }
  return 0;
}

// Context: gate, exec
long Stream::fill(size_t want, volatile uint32_t* cancel) {
  if (is_sealed_) return fill_sealed(want, cancel);
  if (available() == 0) {
    state_.used = state_.filled = 0;
  } else if (want > in_.bytes - state_.used) {
    memmove(in_.at, data(), available());
    state_.filled = available();
    state_.used = 0;
  }
  while (available() < want) {
    const long r = receive_some(in_.at + state_.filled, in_.bytes - state_.filled, cancel);
    if (r < 0) return r == kAborted ? r : kLost;
    state_.filled += static_cast<uint64_t>(r);
  }
  return 0;
}

// Context: gate, exec
long Stream::take(void* to, size_t n) {
  auto* at = static_cast<uint8_t*>(to);
  if (is_sealed_) return take_sealed(at, n);
  const size_t here = available() < n ? available() : n;
  long fault = at != nullptr && here > 0 ? copy_(at, data(), here) : 0;
  state_.used += here;
  n -= here;
  if (at != nullptr) at += here;
  while (n > 0) {
    // The buffer is empty now: unwanted bytes go there.
    const bool direct = at != nullptr && fault == 0;
    state_.used = state_.filled = 0;
    const size_t chunk = direct || n < in_.bytes ? n : in_.bytes;
    const long r = receive_some(direct ? at : in_.at, chunk, nullptr);
    if (r == kLost) return r;
    if (r == -k::kEFAULT) {
      fault = r;
      continue;
    }
    n -= static_cast<size_t>(r);
    if (direct) at += r;
  }
  return fault;
}

// Context: gate, exec
long Stream::put(const void* from, size_t n) {
  const auto* at = static_cast<const uint8_t*>(from);
  while (n > 0) {
    const bool direct = !is_sealed_ && n > room_left() && n >= out_.bytes / 2;
    if (direct || room_left() == 0) {
      const long r = flush();
      if (r != 0) return r;
    }
    if (direct) return send_all(at, n);
    const size_t chunk = n < room_left() ? n : room_left();
    const long r = copy_(room(), at, chunk);
    if (r != 0) return r;
    queue(chunk);
    at += chunk;
    n -= chunk;
  }
  return 0;
}

// Context: gate, exec
long Stream::flush() {
  const size_t n = queued_;
  queued_ = 0;
  return is_sealed_ ? seal_and_send(n) : send_all(out_.at, n);
}

// Context: gate, exec
long Stream::flush_with(const void* from, size_t n) {
  if (n == 0 || is_sealed_) {
    const long r = put(from, n);
    return r == 0 ? flush() : r;
  }
  const size_t head = queued_;
  queued_ = 0;
  size_t sent = 0;
  if (manner_ == Manner::kSend && head > 0) {
    k::Iovec iov[2] = {{reinterpret_cast<uint64_t>(out_.at), head},
                       {reinterpret_cast<uint64_t>(from), n}};
    k::Msghdr h{};
    h.iov = reinterpret_cast<uint64_t>(iov);
    h.iovlen = 2;
    long r;
    do {
      r = sys(kNr_sendmsg, state_.fd, &h, k::kMsgNosignal);
    } while (is_transient(r));
    if (r <= 0) return r == -k::kEFAULT ? r : kLost;
    sent = static_cast<size_t>(r);
  }
  if (sent < head) {
    const long r = send_all(out_.at + sent, head - sent);
    if (r != 0) return r;
    sent = head;
  }
  return send_all(static_cast<const uint8_t*>(from) + (sent - head), n - (sent - head));
}

}  // namespace om::safe
