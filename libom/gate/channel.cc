// SPDX-License-Identifier: Apache-2.0
//
// See channel.h. The keeper socket (descriptor 3) is shared by all threads: who holds keeper_lock reads
// whatever arrives there and files it under the slot it is for.
#include "libom/gate/channel.h"

#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/abi/sockets.h"
#include "libom/gate/forward.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::kAborted;
using safe::sys;

uint8_t* send_buffer(BodyThread* t) { return reinterpret_cast<uint8_t*>(slot_base(t) + kSlotSend); }

// A read or write of this thread's channel. Result of the call, or kKicked.
long channel_call(BodyThread* t, long nr, uint64_t buffer, uint64_t n, bool window) {
  const uint64_t args[6] = {static_cast<uint64_t>(t->channel_fd), buffer, n, 0, 0, 0};
  if (!window) return sys(nr, args[0], args[1], args[2]);
  long r = om_window(&t->kick, nr, args);
  return r == kAborted ? kKicked : r;
}

bool is_transient(long r) { return r == -k::kEINTR || r == -k::kEAGAIN; }

// Writes it all. 0 or kLost.
long write_all(BodyThread* t, const void* data, size_t n) {
  auto at = reinterpret_cast<uint64_t>(data);
  while (n > 0) {
    long r = channel_call(t, kNr_write, at, n, false);
    if (is_transient(r)) continue;
    if (r == -k::kEFAULT) return -k::kEFAULT;
    if (r <= 0) {
      drop_channel(t);
      return kLost;
    }
    at += static_cast<uint64_t>(r);
    n -= static_cast<size_t>(r);
  }
  return 0;
}

// Reads one message from the keeper and files the descriptor that came with it.
long read_keeper(BodyThread* t, bool window) {
  BodyMessage m;
  k::Iovec iov{reinterpret_cast<uint64_t>(&m), sizeof m};
  alignas(8) uint8_t control[sizeof(k::Cmsghdr) + 8];
  k::Msghdr h{};
  h.iov = reinterpret_cast<uint64_t>(&iov);
  h.iovlen = 1;
  h.control = reinterpret_cast<uint64_t>(control);
  h.controllen = sizeof control;
  const uint64_t args[6] = {kKeeperFd, reinterpret_cast<uint64_t>(&h), k::kMsgCmsgCloexec, 0, 0, 0};
  long r =
      window ? om_window(&t->kick, kNr_recvmsg, args) : sys(kNr_recvmsg, args[0], args[1], args[2]);
  if (r == kAborted) return kKicked;
  if (is_transient(r)) return 0;
  if (r <= 0) sys(kNr_exit_group, 0);  // the keeper is gone: so is this body
  if (r != sizeof m || m.type != kBodyChannel || m.slot >= g_body.nslots) return 0;
  int fd = -1;
  auto cmsg = safe::load<k::Cmsghdr>(control);
  if (h.controllen >= sizeof cmsg + 4 && cmsg.level == k::kSolSocket &&
      cmsg.type == k::kScmRights) {
    fd = safe::load<int32_t>(control + sizeof cmsg);
  }
  BodyThread* other = thread_at(m.slot);
  if (fd >= 0 && other->channel_fd >= 0) sys(kNr_close, other->channel_fd);
  if (fd >= 0) safe::store_release(&other->channel_fd, fd);
  other->asked_channel = 0;
  return 0;
}

long handshake(BodyThread* t) {
  // Bootstrap, then the resume Call to the promised answer: one round trip, usually not even waited for.
  uint8_t buffer[safe::kBootstrapBytes + safe::kCallMaxBytes];
  long n = safe::encode_bootstrap(buffer, sizeof buffer, kQuestionBootstrap);
  safe::RpcCallHead head{};
  head.question = kQuestionResume;
  head.target = safe::RpcTarget::kPromisedAnswer;
  head.target_id = kQuestionBootstrap;
  head.params.nr = kNrResume;
  head.params.epoch = g_body.epoch;
  head.params.thread = t->slot;
  head.params.a[0] = t->returned;
  head.params.a[1] = t->seq;
  n += safe::encode_call(buffer + n, sizeof buffer - static_cast<size_t>(n), head, 0);
  return write_all(t, buffer, static_cast<size_t>(n));
}

}  // namespace

// Context: gate
void drop_channel(BodyThread* t) {
  if (t->channel_fd >= 0) sys(kNr_close, t->channel_fd);
  t->channel_fd = -1;
  t->connected = 0;
  t->capability = 0;
  t->have_capability = 0;
  t->finish_lo = t->finish_hi = 0;
  t->recv_fill = t->recv_used = 0;
  t->sent_here = 0;
  t->need_resume = t->pending_head != t->pending_tail || t->call_sent;
}

// Context: gate
long ensure_channel(BodyThread* t, bool window) {
  for (;;) {
    while (safe::load_acquire(&t->channel_fd) < 0) {
      if (window && t->kick) return kKicked;
      if (!window) {
        safe::lock(&g_body.keeper_lock);  // a kick must not end it
      } else if (safe::lock_window(&g_body.keeper_lock, &t->kick) == kAborted) {
        return kKicked;
      }
      long r = 0;
      if (t->channel_fd < 0) {
        if (!t->asked_channel) {
          BodyMessage m{};
          m.type = kBodyNeedChannel;
          m.slot = t->slot;
          t->asked_channel = 1;
          if (sys(kNr_write, kKeeperFd, &m, sizeof m) != sizeof m) t->asked_channel = 0;
        }
        r = read_keeper(t, window);
      }
      safe::unlock(&g_body.keeper_lock);
      if (r == kKicked) return kKicked;
    }
    if (t->connected) return 0;
    t->recv_fill = t->recv_used = 0;
    t->finish_lo = t->finish_hi = 0;
    t->have_capability = 0;
    if (handshake(t) == 0) {
      t->connected = 1;
      return 0;
    }
  }
}

// Context: gate
void note_finish(BodyThread* t, uint64_t seq) {
  if (t->finish_hi == 0) t->finish_lo = seq;
  t->finish_hi = seq;
}

// For a message that its slot has no room for an executor maps memory (map_private). Where the program has a mapping,
// or so near a limit, there is none; here as there: no other thread of ours uses the place.
static bool home_has_room(const BodyThread* t, uint64_t bytes) {
  constexpr uint32_t kHow =
      k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapFixedNoreplace;
  if (!has_executor_area(g_body.arena, g_body.nslots)) return false;
  const uint64_t at = executor_area_address(g_body.arena, t->slot, 1);
  const long r = sys(kNr_mmap, at, bytes, k::kProtNone, kHow, -1, 0);
  if (r != static_cast<long>(at)) return false;
  sys(kNr_munmap, at, bytes);
  return true;
}

// Context: gate
long send_call(BodyThread* t, const safe::ForwardParams& params, const Ins* ins) {
  uint8_t* const buffer = send_buffer(t);
  size_t n = 0;
  if (t->finish_hi != 0) {
    for (uint64_t s = t->finish_lo; s <= t->finish_hi && n + 1024 < kSlotSendSize; s++) {
      n += static_cast<size_t>(safe::encode_finish(buffer + n, kSlotSendSize - n, question_of(s)));
    }
    t->finish_lo = t->finish_hi = 0;
  }
  safe::RpcCallHead head{};
  head.question = question_of(params.sequence);
  head.target =
      t->have_capability ? safe::RpcTarget::kImportedCap : safe::RpcTarget::kPromisedAnswer;
  head.target_id = t->have_capability ? t->capability : kQuestionBootstrap;
  head.params = params;
  const uint64_t bytes = ins ? ins->bytes : 0;
  long r = safe::encode_call(buffer + n, kSlotSendSize - n, head, bytes);
  if (r < 0) return r;
  n += static_cast<size_t>(r);
  if (bytes == 0) return write_all(t, buffer, n);

  constexpr uint64_t kDirect = kSlotSendSize / 2;  // of a long record, written from where it lies
  const bool streamed = n + bytes > kSlotSendSize;
  if (streamed) {
    if (!home_has_room(t, n + bytes)) return safe::kRpcTooLarge;
    // Find a bad pointer before the first byte is on the wire; a page that goes away after this check costs
    // the connection (the record is incomplete, home drops it), never a wrong byte.
    for (uint32_t i = 0; i < ins->count; i++) {
      const uint64_t end = ins->piece[i].address + ins->piece[i].bytes;
      for (uint64_t p = ins->piece[i].address; p < end; p = (p & ~(kPageSize - 1)) + kPageSize) {
        if (om_peek(reinterpret_cast<void*>(p)) != 0) return -k::kEFAULT;
      }
    }
  }
  for (uint32_t i = 0; i < ins->count; i++) {
    uint64_t from = ins->piece[i].address, left = ins->piece[i].bytes;
    while (left > 0) {
      const bool direct = streamed && left >= kDirect;
      if (n == kSlotSendSize || (n > 0 && direct)) {
        r = write_all(t, buffer, n);
        if (r != 0) return r;
        n = 0;
      }
      if (direct) {
        r = write_all(t, reinterpret_cast<void*>(from), left);
        if (r == -k::kEFAULT) drop_channel(t);
        if (r != 0) return r;
        break;
      }
      const uint64_t chunk = left < kSlotSendSize - n ? left : kSlotSendSize - n;
      if (om_copy(buffer + n, reinterpret_cast<void*>(from), chunk) != 0) {
        if (streamed) drop_channel(t);
        return -k::kEFAULT;
      }
      n += chunk;
      from += chunk;
      left -= chunk;
    }
  }
  return write_all(t, buffer, n);
}

// Context: gate
long fill(BodyThread* t, size_t want, bool window) {
  auto* buffer = reinterpret_cast<uint8_t*>(slot_base(t) + kSlotRecv);
  if (t->recv_used == t->recv_fill) {
    t->recv_used = t->recv_fill = 0;
  } else if (t->recv_used > 0 && want > kSlotRecvSize - t->recv_used) {
    memmove(buffer, buffer + t->recv_used, recv_available(t));
    t->recv_fill -= t->recv_used;
    t->recv_used = 0;
  }
  while (recv_available(t) < want) {
    long r = channel_call(t, kNr_read, reinterpret_cast<uint64_t>(buffer + t->recv_fill),
                          kSlotRecvSize - t->recv_fill, window);
    if (r == kKicked) return kKicked;
    if (is_transient(r)) {
      if (window && t->kick) return kKicked;
      continue;
    }
    if (r <= 0) {
      drop_channel(t);
      return kLost;
    }
    t->recv_fill += static_cast<uint64_t>(r);
  }
  return 0;
}

// Context: gate
long take(BodyThread* t, void* to, size_t n) {
  long fault = 0;
  auto* at = static_cast<uint8_t*>(to);
  size_t here = recv_available(t);
  if (here > n) here = n;
  if (at != nullptr && here > 0) fault = om_copy(at, recv_data(t), here);
  t->recv_used += here;
  n -= here;
  at = at ? at + here : nullptr;
  while (n > 0) {
    // The buffer is empty now: read straight into place, or into the buffer when the bytes are not wanted.
    const bool direct = at != nullptr && fault == 0;
    auto* buffer = reinterpret_cast<uint8_t*>(slot_base(t) + kSlotRecv);
    t->recv_used = t->recv_fill = 0;
    const size_t chunk = direct || n < kSlotRecvSize ? n : kSlotRecvSize;
    long r =
        channel_call(t, kNr_read, reinterpret_cast<uint64_t>(direct ? at : buffer), chunk, false);
    if (is_transient(r)) continue;
    if (r == -k::kEFAULT) {
      fault = -k::kEFAULT;
      continue;
    }
    if (r <= 0) {
      drop_channel(t);
      return kLost;
    }
    n -= static_cast<size_t>(r);
    if (direct) at += r;
  }
  return fault;
}

}  // namespace om::gate
