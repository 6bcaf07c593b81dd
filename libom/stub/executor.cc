// SPDX-License-Identifier: Apache-2.0
//
// The executor loop of one parked thread: receive a Call, execute it once, answer. Level 0 Cap'n Proto RPC,
// blocking, no other thread involved.
//
// Exactly once: seq_started rises before a call is executed. A repeated Call is answered from what is kept;
// after a lost connection the body's Resume learns seq_started and gets the kept Return again. Everything
// needed for that is in the slot, so it also works when the process moves in the middle of a call.
#include "libom/stub/executor.h"

#include "libom/abi/kernel.h"
#include "libom/abi/waiting.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/rpc_parse.h"
#include "libom/safe/stream.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/drop.h"
#include "libom/stub/execute.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/messages.h"
#include "libom/stub/pack.h"
#include "libom/stub/remote.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"
#include "libom/stub/trace.h"
#include "libom/stub/window.h"

extern "C" {
[[noreturn]] void om_executor_main(void* stack);
[[noreturn]] void om_executor_transplanted(void* stack, long result);
[[noreturn]] void om_orphan_main(void* stack);
}

namespace om::stub {

constinit HomeState g_home{};
constinit FirstAid g_first_aid{};

namespace {

using safe::sys;

constexpr long kBroken = safe::kLost;  // the connection, not the call

// Answers to a slot's last posted Calls need not be kept: the gate asks only how far home has come. The answer
// for a waiting thread is kept in t->call and the packed outputs.

long copy(void* to, const void* from, size_t n) {
  safe::copy_bytes(to, from, n);
  return 0;
}

// Uses only the part of the send area before a Return's outputs.
safe::Stream stream_of(HomeThread* t) {
  return {t->channel,
          seal_of(t),
          {slot_base(t) + kSlotRecv, kSlotRecvSize},
          {slot_base(t) + kSlotSend, kBounceOffset},
          copy,
          safe::Stream::Manner::kSend};
}

struct Message {
  const uint8_t* bytes;
  size_t length;
  uint8_t* mapped;  // not nullptr: too large for the slot's buffer
};

// Receives the next whole message. 0 or kBroken.
long receive(HomeThread* t, Message& m) {
  safe::Stream stream = stream_of(t);
  m.mapped = nullptr;
  for (;;) {
    const long length = safe::frame_length(stream.data(), stream.available());
    if (length < 0 && length != safe::kRpcAgain) return kBroken;
    const size_t need = length > 0 ? static_cast<size_t>(length) : stream.available() + 1;
    if (length > 0 && need <= stream.available()) {
      m.bytes = stream.data();
      m.length = need;
      return 0;
    }
    if (need > stream.most()) {
      m.mapped = map_in_executor_area(t, kForMessage, need);
      if (m.mapped == nullptr) return kBroken;
      m.bytes = m.mapped;
      m.length = need;
      const long r = stream.take(m.mapped, need);
      if (r != 0) release_message(t);
      return r;
    }
    const long r = stream.fill(need);
    if (r != 0) return r;
  }
}

void done_with(HomeThread* t, Message& m) {
  if (m.mapped != nullptr) {
    release_message(t);
  } else {
    stream_of(t).take(nullptr, m.length);
  }
}

// Sends what an encoder has written, if it had room.
long answer(safe::Stream& stream, long bytes) {
  if (bytes < 0) return kBroken;
  stream.queue(static_cast<size_t>(bytes));
  return stream.flush();
}

long answer_plain(HomeThread* t, uint32_t question, uint64_t seq, long result, uint32_t flags) {
  safe::ForwardResults res{};
  res.result = result;
  res.flags = flags;
  res.sequence = seq;
  safe::Stream stream = stream_of(t);
  return answer(
      stream, safe::encode_return(stream.room(), stream.room_left(), question, res, nullptr, 0, 0));
}

long answer_exception(HomeThread* t, uint32_t question, const char* reason) {
  size_t n = 0;
  while (reason[n] != 0) n++;
  safe::Stream stream = stream_of(t);
  return answer(stream, safe::encode_return_exception(stream.room(), stream.room_left(), question,
                                                      safe::RpcFault::kFailed, reason, n));
}

long send_kept(HomeThread* t) {
  HomeExec& e = t->call;
  SignalRecord signals[kMaxNoted];
  const uint32_t count = (e.wire_flags & kCallSignals) ? copy_noted(t, signals, kMaxNoted) : 0;
  safe::ForwardResults res{};
  res.result = e.result;
  res.flags = e.ret_flags;
  res.signal_count = count;
  res.sequence = e.seq;
  if (e.timed || count > 0) {
    res.aux = monotonic_ns();
  }
  safe::Stream stream = stream_of(t);
  const long n = safe::encode_return(stream.room(), stream.room_left(), safe::question_of(e.seq),
                                     res, signals, count * sizeof(SignalRecord), t->outs_bytes);
  if (n < 0) return kBroken;
  t->noted_sent = count;
  e.sent = 1;
  stream.queue(static_cast<size_t>(n));
  return stream.flush_with(reinterpret_cast<const void*>(t->outs_address), t->outs_bytes);
}

// Tickets preserve the order in which the program's threads posted Calls.
void wait_for_ticket(uint64_t need) {
  for (;;) {
    const uint32_t word = safe::load_acquire(&g_home.ticket_word);
    if (safe::load_acquire(&g_home.tickets_done) >= need) return;
    safe::fetch_add(&g_home.ticket_waiters, 1);
    safe::futex_wait(&g_home.ticket_word, word);
    safe::fetch_add(&g_home.ticket_waiters, static_cast<uint32_t>(-1));
  }
}

void ticket_done(uint64_t ticket) {
  safe::store_release(&g_home.tickets_done, ticket);
  safe::fetch_add(&g_home.ticket_word, 1);
  if (safe::load_acquire(&g_home.ticket_waiters) != 0)
    safe::futex_wake(&g_home.ticket_word, 1 << 30);
}

// The gate lost its connection and says what it has: answers how far home is, and sends what the gate still lacks.
long handle_resume(HomeThread* t, uint32_t question, const safe::ForwardParams& p) {
  const uint64_t seen = p.a[0];
  if (t->call.seq != 0 && t->call.seq <= seen) {
    drop_noted(t, t->noted_sent);
    t->noted_sent = 0;
  }
  if (answer_plain(t, question, 0, static_cast<long>(t->seq_started), 0) != 0) return kBroken;
  // Once per connection: a second Return would carry signals that came in between, and the gate, no longer
  // waiting, would ignore them.
  if (t->call.finished && t->call.sent == 0 && t->call.seq > seen &&
      (t->call.wire_flags & kCallWaited))
    return send_kept(t);
  return 0;
}

long handle_forward(HomeThread* t, uint32_t question, const safe::ForwardParams& p,
                    const uint8_t* ins, size_t ins_bytes) {
  if (p.thread != t->slot || member_of_call(p.flags) != g_home.member)
    return answer_exception(t, question, "this channel belongs to another thread");
  if (p.epoch != g_home.epoch) return answer_plain(t, question, p.sequence, 0, kRetRevoked);
  if (p.nr == kNrResume) return handle_resume(t, question, p);
  if (p.sequence <= t->seq_started) {
    // Known: it was executed; the Return was lost with the connection.
    if (p.sequence == t->call.seq && t->call.finished) return send_kept(t);
    return answer_plain(t, question, p.sequence, 0, 0);
  }
  if (p.sequence != t->seq_started + 1 || question != safe::question_of(p.sequence)) return kBroken;

  // A further Call shows that the Return before it has arrived, with its signals.
  drop_noted(t, t->noted_sent);
  t->noted_sent = 0;
  const bool ticketed = (p.flags & kCallTicketed) != 0;
  if (ticketed && p.ticket == 0) return kBroken;
  t->phase = kExecTicket;
  wait_for_ticket(ticketed ? p.ticket - 1 : p.ticket);
  t->phase = kExecBusy;

  HomeExec& e = t->call;
  release_bounce(t);
  t->keeps = 0;
  safe::set_bytes(&e, 0, sizeof e);
  t->outs_address = t->outs_bytes = 0;
  e.seq = p.sequence;
  e.nr = p.nr;
  e.exec_nr = p.nr;
  e.wire_flags = p.flags;
  for (int i = 0; i < 6; i++) e.program_args[i] = p.a[i];
  safe::store_release(&t->seq_started, p.sequence);
  safe::fetch_add(&g_home.calls, 1);
  const uint64_t begun = trace_begin();

  if ((p.flags & kCallSignals) && noted(t) > 0 && p.nr != kNrSignalPoll) {
    // The handler runs first, then the program's instruction runs again.
    e.ret_flags = kRetRestart;
  } else {
    HomeCall c;
    safe::set_bytes(&c, 0, sizeof c);
    c.thread = t;
    c.exec = &e;
    c.ins = ins;
    c.ins_bytes = ins_bytes;
    c.wire_flags = p.flags;
    for (int i = 0; i < 6; i++) c.args[i] = p.a[i];
    execute(c);
  }
  trace_end(t, begun);
  safe::store_release(&e.finished, 1u);
  safe::store_release(&t->seq_done, p.sequence);
  if (ticketed) ticket_done(p.ticket);
  // A thread that a signal ends gets no answer: it comes home with the result and ends there.
  if (e.no_answer || safe::load_acquire(&t->core.number) != 0) return 0;
  wait_while_held(t);
  leave_if_home(t);
  return send_kept(t);
}

long handle(HomeThread* t, const Message& m) {
  safe::RpcMessage msg;
  if (safe::parse_message(m.bytes, m.length, &msg) < 0) return kBroken;
  safe::Stream stream = stream_of(t);
  switch (msg.kind) {
    case safe::RpcKind::kBootstrap:
      return answer(stream,
                    safe::encode_bootstrap_return(stream.room(), stream.room_left(), msg.id));
    case safe::RpcKind::kCall: {
      const auto& c = msg.call;
      const bool known = (c.target == safe::RpcTarget::kImportedCap && c.target_id == 0) ||
                         c.target == safe::RpcTarget::kPromisedAnswer;
      if (!known || !c.forward || !c.to_caller)
        return answer_exception(t, msg.id, "not a forwarded call");
      const uint8_t* ins = safe::rpc_bytes(m.bytes, m.length, c.ins);
      return handle_forward(t, msg.id, c.params, ins, ins != nullptr ? c.ins.size : 0);
    }
    case safe::RpcKind::kFinish:
    case safe::RpcKind::kRelease:
    case safe::RpcKind::kReturn:
    case safe::RpcKind::kUnimplemented:
      return 0;
    case safe::RpcKind::kAbort:
      return kBroken;
    case safe::RpcKind::kResolve:
    case safe::RpcKind::kDisembargo:
    case safe::RpcKind::kOther:
      break;
  }
  return answer(stream, safe::encode_unimplemented(stream.room(), stream.room_left(), m.bytes,
                                                   m.length, msg.tag));
}

void disable_altstack() {
  k::StackT off{};
  off.flags = k::kSsDisable;
  sys(kNr_sigaltstack, &off, 0);
}

}  // namespace

// Context: exec
void wait_while_held(HomeThread* t) {
  constexpr int64_t kLook = 5000000;  // ns; the deputy writes the word but cannot wake waiters
  while (safe::load_acquire(&g_home.hold) != 0) {
    t->phase = kExecHeld;
    safe::futex_wait_for(&g_home.hold, 1, kLook);
  }
  t->phase = kExecBusy;
}

// Context: exec
void send_return(HomeThread* t) {
  // A failure shows at the next receive; the Return is kept.
  send_kept(t);
}

// Context: exec
void serve(HomeThread* t) {
  for (;;) {
    t->phase = kExecIdle;
    asm volatile("" : : : "memory");
    // Signals that came while the thread was not idle, or that the last Return did not carry.
    if (noted(t) > t->noted_sent) tell_deputy(kHomeKick, t->slot, 0);
    Message m;
    long r = t->channel.fd >= 0 ? receive(t, m) : kBroken;
    if (r == 0) {
      t->phase = kExecBusy;
      r = handle(t, m);
      done_with(t, m);
      if (safe::load_acquire(&g_home.dropped) == 0 && safe::load_acquire(&g_home.effectful) != 0)
        drop_memory();
    }
    if (r != 0) fetch_channel(t);
  }
}

}  // namespace om::stub

using namespace om;
using namespace om::stub;

// Context: exec
void om_executor_main(void* stack) {
  // The deputy died before home had decided to be away.
  if (safe::load_acquire(&g_home.phase) == kHomeCaptured) om_orphan_main(stack);
  disable_altstack();
  serve(thread_of(stack));
}

// A transplanted call of the program has ended with `result`.
// Context: exec
void om_executor_transplanted(void* stack, long result) {
  HomeThread* t = thread_of(stack);
  SyscallDesc storage;
  const SyscallDesc* desc = row_of(t, storage);
  HomeExec& e = t->call;
  e.timed = 1;
  e.result = after_window(t, desc, result);
  t->phase = kExecBusy;
  if (is_message_call(e.nr)) {
    pack_messages(t);
  } else if (desc != nullptr) {
    pack(t, *desc);
  }
  e.program_memory = {0, 0};
  trace_end(t, trace_begin() != 0 ? e.started_ns : 0);
  safe::store_release(&e.finished, 1u);
  safe::store_release(&t->seq_done, e.seq);
  wait_while_held(t);
  leave_if_home(t);
  if (t->channel.fd >= 0) send_return(t);
  serve(t);
}
