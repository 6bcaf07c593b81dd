// SPDX-License-Identifier: Apache-2.0
//
// See channel.h. All threads share the keeper socket (descriptor 3): the holder of keeper_lock reads
// whatever arrives there and files it under its slot.
#include "libom/gate/channel.h"

#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/abi/sockets.h"
#include "libom/gate/forward.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/lock.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/safe/unix_fd.h"

namespace om::gate {
namespace {

using safe::kAborted;
using safe::sys;

safe::Seal& seal_of(BodyThread* t) {
  return *reinterpret_cast<safe::Seal*>(slot_base(t) + kSlotSeal);
}

safe::Stream stream_of(BodyThread* t) {
  auto* const slot = reinterpret_cast<uint8_t*>(slot_base(t));
  return {t->channel,
          seal_of(t),
          {slot + kSlotRecv, kSlotRecvSize},
          {slot + kSlotSend, kSlotSendSize},
          copy_program,
          safe::Stream::Manner::kWrite};
}

// Passes a stream's result on, after dropping a connection that it has found lost.
long or_drop(BodyThread* t, long r) {
  if (r == kLost) drop_channel(t);
  return r;
}

bool is_transient(long r) { return r == -k::kEINTR || r == -k::kEAGAIN; }

// Reads one message from the keeper and files the descriptor that came with it.
long read_keeper(BodyThread* t, bool window) {
  BodyChannel m;
  safe::FdMessage message(&m, sizeof m);
  const uint64_t args[6] = {kKeeperFd, message.header(), k::kMsgCmsgCloexec, 0, 0, 0};
  long r =
      window ? om_window(&t->kick, kNr_recvmsg, args) : sys(kNr_recvmsg, args[0], args[1], args[2]);
  if (r == kAborted) return kKicked;
  if (is_transient(r)) return 0;
  if (r <= 0) sys(kNr_exit_group, 0);  // the keeper is gone: so is this body
  if (r != sizeof m || m.head.type != kBodyChannel || m.head.slot >= g_body.nslots) return 0;
  file_channel(thread_at(m.head.slot), message.fd(), m.keys);
  safe::wipe(&m.keys, sizeof m.keys);
  return 0;
}

// Bootstrap, then the Resume Call to the promised answer: one round trip, which usually nobody waits for.
long handshake(BodyThread* t) {
  safe::Stream stream = stream_of(t);
  stream.queue(static_cast<size_t>(
      safe::encode_bootstrap(stream.room(), stream.room_left(), safe::kQuestionBootstrap)));
  safe::RpcCallHead head{};
  head.question = safe::kQuestionResume;
  head.target = safe::RpcTarget::kPromisedAnswer;
  head.target_id = safe::kQuestionBootstrap;
  head.params.nr = kNrResume;
  head.params.epoch = g_body.epoch;
  head.params.flags = call_member(g_body.member);
  head.params.thread = t->slot;
  head.params.a[0] = t->returned;
  head.params.a[1] = t->seq;
  stream.queue(static_cast<size_t>(safe::encode_call(stream.room(), stream.room_left(), head, 0)));
  return or_drop(t, stream.flush());
}

}  // namespace

// Context: gate
void drop_channel(BodyThread* t) {
  if (t->channel.fd >= 0) sys(kNr_close, t->channel.fd);
  t->connected = 0;
  t->capability = 0;
  t->have_capability = 0;
  t->finish_lo = t->finish_hi = 0;
  t->sent_here = 0;
  t->need_resume = t->pending_head != t->pending_tail || t->call_sent;
  safe::detach(t->channel, seal_of(t));
}

// Context: gate, restore
void file_channel(BodyThread* t, int32_t fd, const ChannelKeys& keys) {
  t->asked_channel = 0;
  if (fd < 0) return;
  if (keys.cipher != kChannelPlain && !safe::can_seal(keys.cipher))
    panic("a channel's cipher is", keys.cipher);
  // Its thread may be using the one that it has.
  if (safe::load_acquire(&t->channel.fd) >= 0)
    sys(kNr_close, fd);
  else
    safe::attach(t->channel, seal_of(t), fd, keys);
}

// Context: gate
long ensure_channel(BodyThread* t, bool window) {
  for (;;) {
    while (safe::load_acquire(&t->channel.fd) < 0) {
      if (window && t->kick) return kKicked;
      if (!window) {
        safe::lock(&g_body.keeper_lock);  // a kick must not end the wait
      } else if (safe::lock_window(&g_body.keeper_lock, &t->kick) == kAborted) {
        return kKicked;
      }
      long r = 0;
      if (t->channel.fd < 0) {
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

// Whether home has room: for a message too large for its slot an executor maps memory (map_in_executor_area). If the
// program has a mapping there or is near a limit, that fails, and it does here, too; no other thread of ours uses the
// place.
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

namespace {

// Queues the Finishes that are due and the head of the Call. 0 or kRpcTooLarge.
long queue_head(BodyThread* t, const safe::ForwardParams& params, uint64_t bytes,
                safe::Stream& stream) {
  if (t->finish_hi != 0) {
    for (uint64_t s = t->finish_lo; s <= t->finish_hi && stream.room_left() > 1024; s++) {
      stream.queue(static_cast<size_t>(
          safe::encode_finish(stream.room(), stream.room_left(), safe::question_of(s))));
    }
    t->finish_lo = t->finish_hi = 0;
  }
  safe::RpcCallHead head{};
  head.question = safe::question_of(params.sequence);
  head.target =
      t->have_capability ? safe::RpcTarget::kImportedCap : safe::RpcTarget::kPromisedAnswer;
  head.target_id = t->have_capability ? t->capability : safe::kQuestionBootstrap;
  head.params = params;
  const long n = safe::encode_call(stream.room(), stream.room_left(), head, bytes);
  if (n < 0) return n;
  stream.queue(static_cast<size_t>(n));
  return 0;
}

// Whether all of this memory can be read.
bool all_readable(const Ins& ins) {
  for (uint32_t i = 0; i < ins.count; i++) {
    if (!is_readable(ins.piece[i].address, ins.piece[i].bytes)) return false;
  }
  return true;
}

}  // namespace

// Context: gate
long send_call(BodyThread* t, const safe::ForwardParams& params, const Ins* ins) {
  safe::Stream stream = stream_of(t);
  const uint64_t bytes = ins ? ins->bytes : 0;
  long r = queue_head(t, params, bytes, stream);
  if (r != 0) return r;
  const bool streamed = bytes > stream.room_left();
  if (streamed) {
    if (!home_has_room(t, stream.queued() + bytes)) return safe::kRpcTooLarge;
    // Find bad pointers before the first byte is on the wire; a page that disappears after this check costs
    // the connection (the record is incomplete, home drops it), never a wrong byte.
    if (!all_readable(*ins)) return -k::kEFAULT;
  }
  for (uint32_t i = 0; ins != nullptr && i < ins->count && r == 0; i++)
    r = stream.put(reinterpret_cast<void*>(ins->piece[i].address), ins->piece[i].bytes);
  if (r == 0) r = stream.flush();
  if (r == -k::kEFAULT && streamed) drop_channel(t);
  return or_drop(t, r);
}

// Context: gate
Received received(BodyThread* t) {
  const safe::Stream stream = stream_of(t);
  return {stream.data(), stream.available()};
}

// Context: gate
long fill(BodyThread* t, size_t want, bool window) {
  return or_drop(t, stream_of(t).fill(want, window ? &t->kick : nullptr));
}

// Context: gate
long take(BodyThread* t, void* to, size_t n) {
  if (to != nullptr) make_present(reinterpret_cast<uint64_t>(to), n);
  return or_drop(t, stream_of(t).take(to, n));
}

}  // namespace om::gate
