// SPDX-License-Identifier: Apache-2.0
//
// The rest of a call that the deputy's stop has ended early: describes it and carries it out. Used by executors
// (stub/rest.cc) and, for a process that is at home or is leaving, by the program itself (shim/continue.cc); the
// executor or the deputy prepares it. A signal ends a call as it would natively: the part done is the answer.
//
// Everything is inlined because program code must not call anything. `K` says which kernel to ask, and how:
//   long call(nr, args)            a system call, in the window or directly
//   bool again(long r)             whether `r` comes from another stop
//   bool stopped()                 whether the answer may be short because of another stop
//   uint64_t now_ns()              CLOCK_MONOTONIC
//   bool load(from, to, words)     memory of the program's call, words of 8 bytes; false: unreadable
//   void store(to, from, words), void store_u32(to, value)
#pragma once

#include <stdint.h>

#include "libom/abi/waiting.h"

#define OM_REST [[gnu::always_inline]] inline

namespace om {

// Words of `message`, a struct msghdr of ours.
enum MessageWord : uint32_t { kMsgName, kMsgNamelen, kMsgVector, kMsgVectors, kMsgWords = 7 };

template <uint32_t kRoom>
struct RestOfCall {
  static constexpr uint32_t kVectors = kRoom;
  uint64_t nr, args[6];  // the call to be made next
  // Bytes, or messages, that the program does not know of yet: the answer if nothing more comes.
  uint64_t done;
  uint64_t left;  // bytes still wanted; 0: the next answer is the last
  Shape shape;
  // A socket with a timeout: events to wait for, at most `time`, before each call; 0: the call itself waits.
  uint32_t events;
  int32_t expired;  // the answer when the time is up
  // Calls that do not know MSG_DONTWAIT; each part may take the full time.
  uint32_t waits_alone, renews;
  uint64_t time[2], full[2];  // struct timespec: time left, and time for each further part
  uint64_t poll, nap[2];      // struct pollfd; a short time
  // kMessages: the array, and the time left of recvmmsg's own timeout.
  uint64_t headers, count, flags;
  uint64_t limited, limit[2];
  uint64_t message[kMsgWords];
  uint64_t first, vectors;    // the part of `vector` that is left of the program's
  uint64_t vector[kRoom][2];  // struct iovec
};

// A socket's timeout in the direction of the call (0: none, or not a socket), and the time left.
struct SocketTime {
  int64_t timeout_ns, left_ns;
  bool renews;     // the kernel gives each part of a transfer the full time
  bool seqpacket;  // write() ends a record
};

namespace rest {

constexpr int64_t kNsPerSecond = 1000000000;
constexpr uint64_t kNapNs = 2000000, kHeaderWords = 8, kHeaderBytes = 64;
constexpr long kIntr = -4, kAgain = -11;
constexpr long kRestartFirst = -516, kRestartLast = -512;  // the kernel's ERESTARTSYS and so on

OM_REST void set_time(uint64_t to[2], int64_t ns) {
  if (ns < 0) ns = 0;
  to[0] = static_cast<uint64_t>(ns / kNsPerSecond);
  to[1] = static_cast<uint64_t>(ns % kNsPerSecond);
}

OM_REST void clear(uint64_t (&words)[kMsgWords]) {
  for (uint64_t& word : words) {
    word = 0;
    asm volatile("" : : : "memory");  // keeps the compiler from calling memset()
  }
}

OM_REST uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

// [at, at + n) of iovecs without the first `skip` bytes. False: unreadable, or more than there is room for.
template <class F, class K>
OM_REST bool take_vector(F& f, const K& k, uint64_t at, uint64_t n, uint64_t skip) {
  f.first = f.vectors = f.left = 0;
  for (uint64_t i = 0; i < n; i++) {
    uint64_t part[2];
    if (!k.load(at + i * sizeof part, part, 2)) return false;
    const uint64_t passed = part[1] < skip ? part[1] : skip;
    skip -= passed;
    if (passed == part[1]) continue;
    if (f.vectors == F::kVectors) return false;
    f.vector[f.vectors][0] = part[0] + passed;
    f.vector[f.vectors][1] = part[1] - passed;
    f.left += part[1] - passed;
    f.vectors++;
  }
  return true;
}

// Points the arguments at what is left in `vector`. `here` is where the program, or the executor, finds `f`.
template <class F>
OM_REST void point_at_vector(F& f, uint64_t here) {
  const uint64_t vector = here + address(&f.vector[f.first]) - address(&f);
  if (f.shape == Shape::kVector) {
    f.args[1] = vector;
    f.args[2] = f.vectors - f.first;
    return;
  }
  // Names and control data went with the first part.
  f.message[kMsgVector] = vector;
  f.message[kMsgVectors] = f.vectors - f.first;
  f.args[1] = here + address(f.message) - address(&f);
}

// Notes that `n` more bytes have been transferred.
template <class F>
OM_REST void advance(F& f, uint64_t n) {
  f.left -= n;
  if (f.shape == Shape::kBuffer) {
    f.args[1] += n;
    f.args[2] -= n;
  } else if (f.shape == Shape::kCount) {
    f.args[wait_desc(f.nr).count] = f.left;
  } else {
    while (n > 0 && f.first < f.vectors) {
      uint64_t(&v)[2] = f.vector[f.first];
      const uint64_t passed = v[1] < n ? v[1] : n;
      n -= passed;
      v[0] += passed;
      v[1] -= passed;
      if (v[1] == 0) f.first++;
    }
    point_at_vector(f, address(&f));
  }
}

// Waits for the socket if there are events to wait for. 0 or an error; `over`: the time is up.
template <class F, class K>
OM_REST long wait_ready(F& f, K& k, bool& over) {
  over = false;
  if (f.events == 0) return 0;
  f.poll = (f.args[0] & 0xffffffff) | uint64_t{f.events} << 32;
  const uint64_t args[6] = {address(&f.poll), 1, address(f.time), 0, 0, 0};
  const long r = k.call(kNr_ppoll, args);
  over = r == 0;
  return r < 0 ? r : 0;
}

// Sleeps when ppoll has reported the socket ready and it is not (somebody else took the data; a datagram's receiver is
// full).
template <class F, class K>
OM_REST void nap(F& f, K& k) {
  set_time(f.nap, kNapNs);
  const uint64_t args[6] = {0, 0, address(f.nap), 0, 0, 0};
  k.call(kNr_ppoll, args);
  const auto left =
      static_cast<int64_t>(f.time[0]) * kNsPerSecond + static_cast<int64_t>(f.time[1]);
  set_time(f.time, left - static_cast<int64_t>(kNapNs));
}

// Makes one call of the rest, waiting for it. Its answer.
template <class F, class K>
OM_REST long next_answer(F& f, K& k, const uint64_t args[6]) {
  for (;;) {
    bool over;
    long r = wait_ready(f, k, over);
    if (r == 0 && over && f.waits_alone) return f.expired;
    if (r == 0) {
      r = k.call(f.nr, args);
      if (r == kAgain && f.events != 0) {
        if (over) return f.expired;
        nap(f, k);
        continue;
      }
    }
    if (k.again(r)) continue;
    return r;
  }
}

template <class F>
OM_REST void renew(F& f) {
  f.time[0] = f.full[0];
  f.time[1] = f.full[1];
}

// Transfers bytes. The sum, or the error if nothing was transferred.
template <class F, class K>
OM_REST long transfer(F& f, K& k) {
  for (;;) {
    const long r = next_answer(f, k, f.args);
    if (r <= 0) return f.done > 0 ? static_cast<long>(f.done) : r;
    const auto n = static_cast<uint64_t>(r);
    f.done += n;
    if (n >= f.left) return static_cast<long>(f.done);
    // Short without a timeout: either a stop cut it, or this is the end.
    if (f.events == 0 && !k.stopped()) return static_cast<long>(f.done);
    advance(f, n);
    if (f.renews) renew(f);
  }
}

// Transfers the rest of the last message served, which may have been cut. False: it stays short.
template <class F, class K>
OM_REST bool finish_message(F& f, K& k) {
  const uint64_t messages = f.done, nr = f.nr, header = f.headers + (messages - 1) * kHeaderBytes;
  uint64_t h[kHeaderWords];
  if (!k.load(header, h, kHeaderWords)) return false;
  const uint64_t length = h[kHeaderWords - 1] & 0xffffffff;
  if (!take_vector(f, k, h[kMsgVector], h[kMsgVectors], length)) return false;
  if (f.left == 0) return true;
  f.shape = Shape::kMessage;
  f.nr = wait_desc(nr).single;
  f.args[2] = f.flags;
  f.done = length;
  clear(f.message);
  point_at_vector(f, address(&f));
  const uint64_t want = length + f.left;
  const auto sum = static_cast<uint64_t>(transfer(f, k));
  k.store_u32(header + 7 * sizeof(uint64_t), static_cast<uint32_t>(sum));
  f.nr = nr;
  f.done = messages;
  f.shape = Shape::kMessages;
  return sum >= want;
}

// Transfers messages of an array.
template <class F, class K>
OM_REST long messages(F& f, K& k) {
  const bool receives = wait_desc(f.nr).socket == SocketSide::kReceives;
  const bool parts = transfers_parts(wait_desc(f.nr), f.flags);
  // recvmmsg files the stop that ended it as an error of the socket, which the next call gets as its answer.
  bool filed = receives && f.done > 0;
  uint64_t end_ns = 0;
  if (f.limited) end_ns = k.now_ns() + f.limit[0] * kNsPerSecond + f.limit[1];
  for (;;) {
    if (f.done > 0 && parts && !finish_message(f, k)) break;
    if (f.done >= f.count) break;
    // Without a timeout the call waits for each message itself; with one, one message at a time gets the full time.
    uint64_t args[6] = {f.args[0],
                        f.headers + f.done * kHeaderBytes,
                        f.events != 0 ? 1 : f.count - f.done,
                        f.flags,
                        f.args[4],
                        0};
    if (f.limited) {
      set_time(f.limit, static_cast<int64_t>(end_ns - k.now_ns()));
      args[4] = address(f.limit);
    }
    const long r = next_answer(f, k, args);
    if (filed && (r == kIntr || (r >= kRestartFirst && r <= kRestartLast))) {
      filed = false;
      continue;
    }
    if (r <= 0) return f.done > 0 ? static_cast<long>(f.done) : r;
    f.done += static_cast<uint64_t>(r);
    filed = receives;
    if (f.events == 0 && !k.stopped()) break;
    if (f.limited && f.limit[0] == 0 && f.limit[1] == 0) break;
    renew(f);
  }
  return static_cast<long>(f.done);
}

}  // namespace rest

// Prepares the rest of the call `nr` with `args`, which a stop has ended after `done` bytes or messages (0: EINTR).
// Timeouts among the call's own arguments are the caller's business. False: too many parts to describe.
// `here`: where `f` will lie. `limit_ns`: what is left of recvmmsg's own timeout, negative: it has none.
template <class F, class K>
OM_REST bool prepare_rest(F& f, const K& k, uint64_t here, uint64_t nr, const uint64_t args[6],
                          uint64_t done, const SocketTime& socket, int64_t limit_ns) {
  const Transfer x = transfer_of(nr, args);
  const SocketWait w = socket_wait_of(nr, args);
  const bool timed = w.waits && socket.timeout_ns > 0;
  f.nr = nr;
  for (int i = 0; i < 6; i++) f.args[i] = args[i];
  f.done = done;
  f.left = f.first = f.vectors = 0;
  f.shape = x.shape;
  f.events = 0;
  f.expired = 0;
  f.waits_alone = f.renews = 0;
  f.limited = 0;
  rest::clear(f.message);
  if (timed) {
    f.events = w.sends ? 4 : 1;  // POLLOUT, POLLIN
    f.waits_alone = w.flags == 0;
    f.expired = -w.expired;
    f.renews = socket.renews;
    rest::set_time(f.time, socket.left_ns);
    rest::set_time(f.full, socket.timeout_ns);
  }
  if (x.shape == Shape::kMessages) {
    f.headers = args[1];
    f.count = args[2];
    f.flags = args[3] | (timed ? kDoesNotWait : 0);
    f.limited = limit_ns >= 0;
    rest::set_time(f.limit, limit_ns);
    return true;
  }
  if (!timed && done == 0) return true;
  if (x.shape == Shape::kBuffer || x.shape == Shape::kCount) {
    f.left = args[x.count];
    rest::advance(f, done);
  }
  if (timed && w.flags != 0) {
    constexpr uint64_t kEndsRecord = 0x80;  // MSG_EOR
    const uint64_t had = w.at_once == nr ? args[w.flags] : 0;
    f.nr = w.at_once;
    f.args[w.flags] =
        had | kDoesNotWait | (w.sends && w.at_once != nr && socket.seqpacket ? kEndsRecord : 0);
    if (w.at_once != nr && !w.wraps) f.args[4] = f.args[5] = 0;
  }
  const bool vector = x.shape == Shape::kVector, message = x.shape == Shape::kMessage;
  if (!vector && !message && !(timed && w.wraps)) return true;
  uint64_t at = args[1], n = args[2];
  if (message) {
    uint64_t h[kMsgWords];
    if (!k.load(args[1], h, kMsgWords)) return false;
    at = h[kMsgVector];
    n = h[kMsgVectors];
  }
  if (timed && w.wraps) {
    f.shape = Shape::kMessage;
    f.message[kMsgVector] = at;
    f.message[kMsgVectors] = n;
    f.args[1] = here + rest::address(f.message) - rest::address(&f);
  }
  if (!vector && !message) return true;
  const bool taken = rest::take_vector(f, k, at, n, done);
  if (!taken) f.left = 0;  // whole or not at all
  if (taken && (done > 0 || (timed && w.wraps))) rest::point_at_vector(f, here);
  return taken || done == 0;
}

// Carries out the rest; returns the call's answer.
template <class F, class K>
OM_REST long do_rest(F& f, K& k) {
  return f.shape == Shape::kMessages ? rest::messages(f, k) : rest::transfer(f, k);
}

}  // namespace om
