// SPDX-License-Identifier: Apache-2.0
//
// Forwards a system call by its table row: the memory that it sends, the Call, the wait, what comes back into
// the program's memory. Exactly once: a Call has a sequence number; after a lost connection home says which
// numbers it has started, and only what is missing is sent again (the bytes are still in the program's own
// buffers, because the program waits).
//
// The order of the checks matters: everything that can refuse the call (bad pointer, kick) comes before it
// takes its sequence number; after that only a Return ends it.
#include "libom/gate/forward.h"

#include "libom/abi/kernel.h"
#include "libom/gate/channel.h"
#include "libom/gate/gather.h"
#include "libom/gate/long_transfer.h"
#include "libom/gate/park.h"
#include "libom/gate/signal.h"
#include "libom/gate/user_memory.h"
#include "libom/gate/vdso.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::round8;

void* pointer(uint64_t address) { return reinterpret_cast<void*>(address); }

safe::ForwardParams make_params(const BodyThread* t, uint32_t nr, const uint64_t args[6],
                                uint64_t seq) {
  safe::ForwardParams p{};
  p.nr = nr;
  p.flags = call_member(g_body.member);
  p.epoch = g_body.epoch;
  p.thread = t->slot;
  p.sequence = seq;
  p.ticket = safe::load_acquire(&g_body.tickets);
  for (int i = 0; i < 6; i++) p.a[i] = args[i];
  return p;
}

long scatter(BodyThread* t, const ArgDesc& desc, uint32_t arg, uint64_t bytes) {
  const uint64_t* args = t->call_args;
  uint64_t left = bytes;
  long fault = 0;
  for (uint64_t i = 0; i < args[desc.len_arg] && left > 0; i++) {
    k::Iovec v;
    if (!read_program(v, args[arg] + i * sizeof v)) break;
    const uint64_t n = v.len < left ? v.len : left;
    const long r = take(t, pointer(v.base), n);
    if (r == kLost) return r;
    if (r != 0) fault = r;
    left -= n;
  }
  if (left > 0) {
    const long r = take(t, nullptr, left);
    if (r == kLost) return r;
    fault = -k::kEFAULT;
  }
  return fault;
}

// Copies the outputs of a Return, which start at the receive cursor, to the program. Takes and returns the
// call's result; kLost if the connection broke (the Return will come again).
long apply_outs(BodyThread* t, const SyscallDesc& desc, long result, uint64_t outs_bytes,
                uint32_t bad) {
  uint64_t consumed = 0;
  long fault = 0;
  for (uint32_t i = 0; i < desc.nargs; i++) {
    const ArgDesc& a = desc.args[i];
    if (a.kind != ArgKind::kBuf || t->call_args[i] == 0 || !safe::comes_out(a) ||
        (bad & 1u << i) != 0)
      continue;
    if (!safe::copied_out(a, result) || safe::is_idle_length(desc, t->call_args, i)) continue;
    uint64_t n = 0;
    if (safe::needs_deref(a)) {
      if (outs_bytes - consumed < 8) break;
      if (take(t, &n, 8) == kLost) return kLost;
      consumed += 8;
    } else {
      n = safe::used_bytes(a, t->call_args, result);
    }
    if (n > outs_bytes - consumed) break;  // home sent less than the row: stop, never write more
    const long r =
        a.len == LenKind::kIovRet ? scatter(t, a, i, n) : take(t, pointer(t->call_args[i]), n);
    if (r == kLost) return r;
    if (r != 0) fault = r;
    consumed += n;
    const uint64_t pad = round8(n) - n;
    if (pad > outs_bytes - consumed) break;
    if (take(t, nullptr, pad) == kLost) return kLost;
    consumed += pad;
  }
  if (take(t, nullptr, outs_bytes - consumed) == kLost) return kLost;
  return fault != 0 ? fault : result;
}

// Home has answered the Resume: posts again what it has not seen.
long after_resume(BodyThread* t, uint64_t known) {
  t->need_resume = 0;
  while (t->pending_tail != t->pending_head &&
         t->pending[t->pending_tail % kWindowCalls].seq <= known) {
    t->pending_tail++;
  }
  for (uint32_t i = t->pending_tail; i != t->pending_head; i++) {
    const PendingCall& p = t->pending[i % kWindowCalls];
    safe::ForwardParams params = make_params(t, p.nr, p.args, p.seq);
    params.flags |= kCallTicketed;
    params.ticket = p.ticket;
    const long r = send_call(t, params, nullptr);
    if (r != 0) return r;
  }
  if (t->call_sent && t->call_seq <= known) t->sent_here = 1;
  return 0;
}

struct Answer {
  safe::RpcMessage message;
  size_t length;  // of the whole message, of which nothing has been consumed
};

// Reads up to and including the Return of `seq`, processing everything before it. Leaves the answer in the
// receive buffer. 0, kLost or kKicked.
long read_answer(BodyThread* t, uint64_t seq, bool window, Answer& answer) {
  for (;;) {
    long length;
    size_t want = 8;
    for (;;) {
      long r = fill(t, want, window);
      if (r != 0) return r;
      const Received in = received(t);
      length = safe::frame_length(in.data, in.bytes);
      if (length != safe::kRpcAgain) break;
      want = in.bytes + 1;
    }
    if (length < 0) {
      drop_channel(t);
      return kLost;
    }
    const auto bytes = static_cast<size_t>(length);
    // Of a long message only the beginning is parsed; kPrefix covers head and signals.
    constexpr size_t kPrefix = 16384;
    static_assert(kPrefix <= kMostReceived && kSlotRecvSize / 2 <= kMostReceived);
    long r = fill(t, bytes <= kSlotRecvSize / 2 ? bytes : kPrefix, window);
    if (r != 0) return r;
    safe::RpcMessage& m = answer.message;
    const Received in = received(t);
    if (safe::parse_message(in.data, in.bytes, &m) < 0 || m.kind == safe::RpcKind::kAbort) {
      drop_channel(t);
      return kLost;
    }
    answer.length = bytes;
    bool resumed = false;
    if (m.kind == safe::RpcKind::kReturn) {
      const auto& ret = m.ret;
      if (m.id == safe::kQuestionBootstrap) {
        if (ret.cap == safe::RpcCap::kNone) {
          drop_channel(t);
          return kLost;
        }
        t->capability = ret.cap_id;
        t->have_capability = 1;
      } else if (m.id == safe::kQuestionResume) {
        resumed = true;
      } else if (ret.error == 0 && ret.results.sequence == seq && seq != 0 &&
                 m.id == safe::question_of(seq)) {
        return 0;
      } else if (t->pending_tail != t->pending_head &&
                 m.id == safe::question_of(t->pending[t->pending_tail % kWindowCalls].seq)) {
        t->returned = t->pending[t->pending_tail % kWindowCalls].seq;
        t->pending_tail++;
        note_finish(t, t->returned);
      } else if (seq != 0 && m.id == safe::question_of(seq)) {
        return 0;  // an exception: the caller turns it into an error
      }
    }
    const int64_t known = m.ret.results.result;
    const bool bad = resumed && (m.ret.error != 0 || known < 0);
    const bool revoked = m.kind == safe::RpcKind::kReturn && (m.ret.results.flags & kRetRevoked);
    if (revoked) safe::sys(kNr_exit_group, 0);
    if (take(t, nullptr, bytes) == kLost) return kLost;
    if (bad) {
      drop_channel(t);
      return kLost;
    }
    if (resumed) {
      r = after_resume(t, static_cast<uint64_t>(known));
      if (r != 0) return r;
      if (seq != 0 && !t->sent_here) return kLost;  // the caller sends it (again)
    }
    if (seq == 0) return 0;
  }
}

// Takes the answer out of the receive buffer. Result, or kLost.
long accept_answer(GateCall& c, const SyscallDesc* desc, const Answer& answer) {
  BodyThread* t = c.thread;
  const auto& ret = answer.message.ret;
  if (ret.error != 0) {
    if (take(t, nullptr, answer.length) == kLost) return kLost;
    return -k::kENOSYS;
  }
  const safe::ForwardResults res = ret.results;
  if (res.flags & kRetRevoked) safe::sys(kNr_exit_group, 0);
  uint32_t signals = res.signal_count < kMaxSignals ? res.signal_count : kMaxSignals;
  if (signals > 0) {
    const Received in = received(t);
    const uint8_t* from = safe::rpc_bytes(in.data, in.bytes, ret.signals);
    if (from == nullptr) signals = 0;
    if (from != nullptr) safe::copy_bytes(c.signals, from, signals * sizeof(SignalRecord));
  }
  long result = res.result;
  if (ret.outs.size > 0 && ret.outs.offset + ret.outs.size <= answer.length) {
    const size_t tail = answer.length - ret.outs.offset - ret.outs.size;
    if (take(t, nullptr, ret.outs.offset) == kLost) return kLost;
    if (c.raw_out != nullptr) {
      const uint64_t n = ret.outs.size < c.raw_bytes ? ret.outs.size : c.raw_bytes;
      if (take(t, c.raw_out, n) == kLost || take(t, nullptr, ret.outs.size - n) == kLost)
        return kLost;
    } else if (desc != nullptr && c.apply != nullptr) {
      result = c.apply(c, result, ret.outs.size);
    } else if (desc != nullptr) {
      result = apply_outs(t, *desc, result, ret.outs.size, c.bad);
    } else if (take(t, nullptr, ret.outs.size) == kLost) {
      return kLost;
    }
    if (result == kLost || take(t, nullptr, tail) == kLost) return kLost;
  } else if (take(t, nullptr, answer.length) == kLost) {
    return kLost;
  }
  c.signal_count = signals;
  c.restart = (res.flags & kRetRestart) != 0;
  c.go_home = (res.flags & kRetHome) != 0;
  c.aux = res.aux;
  if (res.aux != 0) home_time_was(static_cast<int64_t>(res.aux));
  return result;
}

// A kick while a Call is on its way: parks if there is a stop. Signals come with the Return, unless that left home
// before them: the caller asks for them afterwards.
void kicked_while_waiting(BodyThread* t, bool hold) {
  t->kick = 0;
  if (safe::load_acquire(&g_body.stop) != 0 && !hold) {
    park(t, kThreadWaiting);
    t->phase = kBodyWaiting;
  }
}

// Sends (if `ins` is not nullptr or the call has no memory) and waits. Result, kPark or kOnlyHome.
long transact(GateCall& c, const SyscallDesc* desc, const Ins* ins, bool hold) {
  BodyThread* t = c.thread;
  Answer answer;
  bool kicked = false;
  for (;;) {
    long r = ensure_channel(t, !hold);
    if (r == kKicked && !t->call_sent) {
      t->seq--;
      t->phase = kBodyGate;
      return kPark;
    }
    if (r == 0 && !t->sent_here && !t->need_resume) {
      safe::ForwardParams params = make_params(t, t->call_nr, t->call_args, t->call_seq);
      const bool own =
          t->call_nr == kNrSignalPoll || t->call_nr == kNrSetMask || t->call_nr == kNrFault;
      params.flags |= kCallWaited | (!hold || own ? kCallSignals : 0) | c.bad * kCallBad;
      t->call_sent = 1;
      t->sent_here = 1;
      r = send_call(t, params, ins);
      if (r == -k::kEFAULT || r == safe::kRpcTooLarge) {
        // Not executed: the record is incomplete or was never begun. The number will be reused.
        t->call_sent = 0;
        t->need_resume = t->pending_head != t->pending_tail && t->channel.fd < 0;
        t->seq--;
        t->phase = kBodyGate;
        return kOnlyHome;  // bad memory somewhere inside: the kernel may transfer what precedes it
      }
    }
    if (r == 0) r = read_answer(t, t->call_seq, !hold, answer);
    if (r == kKicked && !t->call_sent) {
      // Not sent, because the answer to Resume must come first: the number will be reused.
      t->seq--;
      t->phase = kBodyGate;
      return kPark;
    }
    if (r == kKicked) {
      kicked = true;
      kicked_while_waiting(t, hold);
      continue;
    }
    if (r != 0) continue;
    const long result = accept_answer(c, desc, answer);
    if (result == kLost) continue;
    t->returned = t->call_seq;
    t->call_sent = 0;
    t->sent_here = 0;
    note_finish(t, t->call_seq);
    t->phase = kBodyGate;
    if (kicked) t->kick = 1;
    if (!hold) note_starving(t, c.restart != 0);
    return result;
  }
}

void begin_call(BodyThread* t, uint32_t nr, const uint64_t args[6]) {
  t->call_nr = nr;
  for (int i = 0; i < 6; i++) t->call_args[i] = args[i];
  t->call_seq = ++t->seq;
  t->call_sent = 0;
  t->sent_here = 0;
  t->phase = kBodyWaiting;
  safe::fetch_add(&g_body.calls, 1);
}

}  // namespace

// Context: gate
long after_answer(GateCall& c, long result) {
  if (!c.go_home) return result;
  c.go_home = 0;
  if (c.signal_count > 0) return result;  // a RESTART as well
  c.restart = 0;
  return come_home(c);
}

// Context: gate
long attempt(GateCall& c, uint32_t nr, const SyscallDesc& desc, bool cut) {
  BodyThread* t = c.thread;
  if (t->kick && !c.hold) return kPark;
  Ins ins;
  Scratch scratch;
  c.bad = 0;
  long r = build_ins(desc, c.args, ins, scratch, cut, c.bad);
  if (r == 0) r = probe_outs(desc, c.args, c.bad);
  if (r < 0) return r;
  begin_call(t, nr, c.args);
  r = transact(c, &desc, &ins, c.hold != 0);
  return r;
}

// Context: gate
long forward_as(GateCall& c, uint32_t nr, const SyscallDesc& desc) {
  const long r = attempt(c, nr, desc, false);
  return r == kTooLong || r == kOnlyHome ? come_home(c) : after_answer(c, r);
}

namespace {

// select() looks at as many descriptors as the table has room for; home's table is larger than the program's
// own because it contains libom's descriptors.
void clamp_fdset(GateCall& c) {
  const auto n = static_cast<int32_t>(c.args[0]);
  const auto room = static_cast<int32_t>(safe::load_acquire(&g_body.fd_size));
  if (room > 0 && n > room) c.args[0] = static_cast<uint64_t>(room);
}

void note_descriptor(const SyscallDesc& desc, long result) {
  if (!(desc.effects & kEffNewFd) || result < static_cast<long>(g_body.fd_size) ||
      result > (1 << 20))
    return;
  uint32_t size = g_body.fd_size;
  while (size <= static_cast<uint32_t>(result)) size *= 2;
  safe::store_release(&g_body.fd_size, size);
}

}  // namespace

// Context: gate
long forward(GateCall& c) {
  const WaitDesc& w = wait_desc(*c.desc);
  if (w.fdsets) clamp_fdset(c);
  if (holds(w.home_if, c.args)) return come_home(c);
  const long r = attempt(c, c.nr, *c.desc, false);
  if (r == kTooLong) return long_transfer(c);
  if (r == kOnlyHome) return come_home(c);
  if (r > 0) note_descriptor(*c.desc, r);
  return after_answer(c, r);
}

// Context: gate
long call_home(GateCall& c, uint32_t nr, const uint64_t args[6], bool hold) {
  if (c.thread->kick && !hold) return kPark;
  begin_call(c.thread, nr, args);
  return transact(c, nullptr, nullptr, hold);
}

// Context: gate
long call_home_with(GateCall& c, uint32_t nr, const uint64_t args[6], const Ins& ins,
                    const SyscallDesc* desc, bool hold) {
  if (c.thread->kick && !hold) return kPark;
  begin_call(c.thread, nr, args);
  const long r = transact(c, desc, &ins, hold);
  if (r != kOnlyHome) return r;
  return hold ? -k::kEFAULT : come_home(c);
}

// Context: gate
void post_home(BodyThread* t, uint32_t nr, const uint64_t args[6]) {
  Answer answer;
  while (t->pending_head - t->pending_tail >= kWindowCalls) {
    // The window is full: take one answer, after replacing a lost connection.
    if (ensure_channel(t, false) == 0) read_answer(t, 0, false, answer);
  }
  PendingCall& p = t->pending[t->pending_head % kWindowCalls];
  p.nr = nr;
  for (int i = 0; i < 6; i++) p.args[i] = args[i];
  p.seq = ++t->seq;
  p.ticket = safe::fetch_add(&g_body.tickets, 1) + 1;
  t->pending_head++;
  safe::fetch_add(&g_body.calls, 1);
  if (t->channel.fd < 0 || !t->connected) t->need_resume = 1;
  if (!t->need_resume) {
    safe::ForwardParams params = make_params(t, nr, args, p.seq);
    params.flags |= kCallTicketed;
    params.ticket = p.ticket;
    if (send_call(t, params, nullptr) == 0) return;
  }
  // Other threads' Calls wait at home for this ticket: replace a lost connection now, not when this
  // thread happens to need home again. The new Call goes out with whatever else home has not seen.
  while (t->need_resume) {
    if (ensure_channel(t, false) == 0) read_answer(t, 0, false, answer);
  }
}

// Context: gate
long drain(BodyThread* t) {
  Answer answer;
  while (t->pending_head != t->pending_tail) {
    if (ensure_channel(t, false) == 0) read_answer(t, 0, false, answer);
  }
  return 0;
}

// Context: gate
long resume_waiting(GateCall& c) {
  BodyThread* t = c.thread;
  t->phase = kBodyWaiting;
  t->call_sent = 1;
  t->need_resume = t->channel.fd < 0 || !t->connected;
  t->sent_here = 1;
  return after_answer(c, transact(c, c.desc, nullptr, false));
}

// Context: gate
void want_home(BodyThread* t, uint32_t nr) {
  SignalRecord signals[kMaxSignals];
  GateCall c;
  safe::set_bytes(&c, 0, sizeof c);
  c.thread = t;
  c.signals = signals;
  const uint64_t args[6] = {nr, t->regs[kRip], 0, 0, 0, 0};
  t->want_home = 1;
  call_home(c, kNrWantHome, args);
  t->want_home = 0;
  t->full_exit = 1;
  uint32_t index = 0;
  if (c.signal_count > 0 && deliver(t, signals, c.signal_count, &index) != 0) bad_stack(t);
}

// Context: gate
long come_home(GateCall& c) {
  BodyThread* t = c.thread;
  if (t->kick) return kPark;
  // From here on the thread is at its system call instruction, which runs again wherever the thread resumes.
  t->regs[kRip] -= 2;
  t->regs[kRax] = c.nr;
  c.no_result = 1;
  want_home(t, c.nr);
  return 0;
}

}  // namespace om::gate
