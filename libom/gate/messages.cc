// SPDX-License-Identifier: Apache-2.0
//
// sendmsg, recvmsg and their vector forms. Layout in libom/abi/msgwire.h. Control data needs no translation:
// descriptors and pids in it are home's numbers, which are the program's.
#include "libom/gate/messages.h"

#include "libom/abi/kernel.h"
#include "libom/abi/msgwire.h"
#include "libom/abi/waiting.h"
#include "libom/gate/channel.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/gather.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

constexpr uint64_t kZero = 0;
constexpr uint64_t kMaxData = 16u << 20;  // of one Call, with names and control data

struct MsgPlan {
  uint64_t count;
  WireMsg wire[kMessagesPerCall];
};

void add(Ins& ins, uint64_t address, uint64_t bytes) {
  if (bytes == 0) return;
  ins.piece[ins.count++] = {address, bytes};
  ins.bytes += bytes;
  const uint64_t pad = safe::round8(ins.bytes) - ins.bytes;
  if (pad == 0) return;
  ins.piece[ins.count++] = {reinterpret_cast<uint64_t>(&kZero), pad};
  ins.bytes += pad;
}

// For runs of small pieces, which must be padded only at the end.
void add_raw(Ins& ins, uint64_t address, uint64_t bytes) {
  if (bytes == 0) return;
  ins.piece[ins.count++] = {address, bytes};
  ins.bytes += bytes;
}

// Plans one message. If its data is longer than `room`: shortened if `cut`, else kTooLong.
long plan_message(uint64_t header, bool sending, uint64_t room, bool cut, WireMsg& w, Ins& ins) {
  k::Msghdr h;
  if (!read_program(h, header)) return -k::kEFAULT;
  if (h.iovlen > safe::kMaxIov) return -k::kEMSGSIZE;
  if (static_cast<int32_t>(h.namelen) < 0) return -k::kEINVAL;
  w = WireMsg{};
  w.has_name = h.name != 0;
  w.namelen = h.namelen < kMaxName ? h.namelen : static_cast<uint32_t>(kMaxName);
  w.has_control = h.control != 0 && h.controllen != 0;
  w.controllen = h.controllen < kMaxControl ? h.controllen : kMaxControl;
  w.flags = h.flags;
  add(ins, reinterpret_cast<uint64_t>(&w), sizeof w);
  if (sending && h.controllen > kMaxControl)
    return -105;  // ENOBUFS, as the kernel for too much control data
  if (sending && w.has_name) add(ins, h.name, w.namelen);
  if (sending && w.has_control) add(ins, h.control, w.controllen);
  for (uint64_t i = 0; i < h.iovlen; i++) {
    k::Iovec v;
    if (!read_program(v, h.iov + i * sizeof v)) return -k::kEFAULT;
    if (static_cast<int64_t>(v.len) < 0) return -k::kEINVAL;
    if (v.len > room - w.data) {
      if (!cut) return kTooLong;
      v.len = room - w.data;
    }
    if (sending) {
      if (ins.count + 8 >= kMaxInsPieces) return -k::kEMSGSIZE;
      add_raw(ins, v.base, v.len);
    }
    w.data += v.len;
  }
  if (sending)
    add_raw(ins, reinterpret_cast<uint64_t>(&kZero), safe::round8(ins.bytes) - ins.bytes);
  return 0;
}

// Address of the header of message i of the call being answered.
uint64_t header_at(const BodyThread* t, uint64_t i) {
  const bool vector = message_call_of(t->call_nr).vector;
  return t->call_args[1] + (vector ? i * 64 : 0);
}

long take_part(BodyThread* t, uint64_t to, uint64_t bytes, uint64_t room) {
  const uint64_t n = bytes < room ? bytes : room;
  long r = take(t, to != 0 ? reinterpret_cast<void*>(to) : nullptr, n);
  if (r == kLost) return r;
  const long fault = r;
  if (bytes > n) r = take(t, nullptr, bytes - n);
  if (r == kLost) return r;
  r = take(t, nullptr, safe::round8(bytes) - bytes);
  return r == kLost ? r : fault;
}

long take_data(BodyThread* t, const k::Msghdr& h, uint64_t bytes) {
  uint64_t left = bytes;
  long fault = 0;
  for (uint64_t i = 0; i < h.iovlen && left > 0; i++) {
    k::Iovec v;
    if (!read_program(v, h.iov + i * sizeof v)) break;
    const uint64_t n = v.len < left ? v.len : left;
    const long r = take(t, reinterpret_cast<void*>(v.base), n);
    if (r == kLost) return r;
    if (r != 0) fault = r;
    left -= n;
  }
  long r = take(t, nullptr, left + safe::round8(bytes) - bytes);
  return r == kLost ? r : fault;
}

// Writes the outputs of a message call (msgwire.h). Checks every length against what the program gave.
long apply_messages(GateCall& c, long result, uint64_t outs_bytes) {
  BodyThread* t = c.thread;
  const auto [vector, receiving, timeout] = message_call_of(t->call_nr);
  uint64_t count = 0, consumed = 8;
  long fault = 0;
  if (outs_bytes < 8) return take(t, nullptr, outs_bytes) == kLost ? kLost : result;
  if (take(t, &count, 8) == kLost) return kLost;
  for (uint64_t i = 0; i < count && outs_bytes - consumed >= sizeof(WireMsg); i++) {
    WireMsg w;
    if (take(t, &w, sizeof w) == kLost) return kLost;
    consumed += sizeof w;
    const uint64_t name = w.has_name ? w.namelen : 0, control = w.has_control ? w.controllen : 0;
    const uint64_t body =
        receiving ? safe::round8(name) + safe::round8(control) + safe::round8(w.data) : 0;
    if (name > kMaxName || control > kMaxControl || w.data > kMaxData ||
        body > outs_bytes - consumed)
      break;
    consumed += body;
    const uint64_t at = header_at(t, i);
    k::Msghdr h;
    if (!read_program(h, at)) {
      fault = -k::kEFAULT;
      if (take(t, nullptr, body) == kLost) return kLost;
      continue;
    }
    if (receiving) {
      long r = take_part(t, h.name, name, h.namelen);
      if (r == kLost) return r;
      if (r != 0) fault = r;
      r = take_part(t, h.control, control, h.controllen);
      if (r == kLost) return r;
      if (r != 0) fault = r;
      r = take_data(t, h, w.data);
      if (r == kLost) return r;
      if (r != 0) fault = r;
      if (h.name != 0) h.namelen = w.namelen;
      h.controllen = w.controllen;
      h.flags = w.flags;
      if (!write_program(at, h)) fault = -k::kEFAULT;
    }
    const auto len = static_cast<uint32_t>(w.result);
    if (vector && !write_program(at + sizeof h, len)) fault = -k::kEFAULT;
  }
  const uint64_t left_to = timeout != 0 ? t->call_args[timeout] : 0;
  if (left_to != 0 && outs_bytes - consumed == sizeof(k::Timespec)) {
    k::Timespec left;
    if (take(t, &left, sizeof left) == kLost) return kLost;
    consumed += sizeof left;
    if (!write_program(left_to, left)) fault = -k::kEFAULT;
  }
  if (take(t, nullptr, outs_bytes - consumed) == kLost) return kLost;
  return fault != 0 ? fault : result;
}

// Sends the first messages of the call, as many as there is room for: `planned`. `more`: earlier messages have
// been served, so the call must not wait for anything. Result, kPark, kTooLong or kOnlyHome.
[[gnu::noinline]] long round(GateCall& c, uint64_t count, bool sending, uint64_t timeout, bool cut,
                             bool more, uint64_t& planned) {
  const bool vector = message_call_of(c.nr).vector;
  if (c.thread->kick && !more) return kPark;
  Ins ins;
  MsgPlan plan;
  ins.count = 0;
  ins.bytes = 0;
  plan.count = count < kMessagesPerCall ? count : kMessagesPerCall;
  add(ins, reinterpret_cast<uint64_t>(&plan.count), 8);
  uint64_t room = kMaxData;
  for (uint64_t i = 0; i < plan.count; i++) {
    const uint32_t pieces = ins.count;
    const uint64_t bytes = ins.bytes;
    WireMsg& w = plan.wire[i];
    long r = plan_message(c.args[1] + (vector ? i * 64 : 0), sending, room, cut && i == 0, w, ins);
    const uint64_t used =
        safe::round8(w.namelen) + safe::round8(w.controllen) + safe::round8(w.data);
    if (r == 0 && i > 0 && used > room) r = kTooLong;
    if (r == 0) {
      room -= used < room ? used : room;
      continue;
    }
    if (i == 0) return r == kTooLong ? r : kOnlyHome;
    // Like the kernel: what precedes a bad entry is transferred. What follows a long one gets its own round.
    ins.count = pieces;
    ins.bytes = bytes;
    plan.count = i;
    break;
  }
  planned = plan.count;
  // The call waits for each message: only home can do that in one call.
  const bool all = transfer_of(c.nr, c.args).shape == Shape::kMessages;
  if (!sending && all && planned < count) return kOnlyHome;
  k::Timespec limit{};
  if (timeout != 0) {
    if (!read_program(limit, timeout)) return kOnlyHome;
    add(ins, reinterpret_cast<uint64_t>(&limit), sizeof limit);
  }
  c.apply = apply_messages;
  return call_home_with(c, c.nr, c.args, ins, c.desc, more);
}

long messages(GateCall& c, uint64_t count, bool sending, uint64_t timeout) {
  const bool vector = message_call_of(c.nr).vector;
  uint64_t& flags = c.args[vector ? 3 : 2];
  if (holds(wait_desc(*c.desc).home_if, c.args)) return come_home(c);
  uint64_t done = 0, planned = 0;
  bool cut = false;
  for (;;) {
    const long r = round(c, count - done, sending, timeout, cut, done > 0, planned);
    if (done > 0 && r <= 0) {
      c.restart = c.go_home = 0;
      break;  // what has been transferred is the result
    }
    if (r == kTooLong) {
      if (cut || transfer_kind(c, flags) != kTransferOne) return come_home(c);
      cut = true;
      continue;
    }
    if (r == kOnlyHome) return come_home(c);
    if (!vector || r <= 0 || c.restart) return after_answer(c, r);
    done += static_cast<uint64_t>(r);
    // More than one Call has room for: continue with the next ones, without waiting.
    if (static_cast<uint64_t>(r) < planned || done >= count || c.signal_count > 0) break;
    cut = false;
    flags |= k::kMsgDontwait;
    c.args[1] += planned * 64;
    c.args[2] = count - done;
  }
  return static_cast<long>(done);
}

}  // namespace

// Context: gate
long gate_sendmsg(GateCall& c) { return messages(c, 1, true, 0); }
// Context: gate
long gate_recvmsg(GateCall& c) { return messages(c, 1, false, 0); }
// Context: gate
long gate_sendmmsg(GateCall& c) {
  const auto n = static_cast<uint32_t>(c.args[2]);
  return messages(c, n < kMaxMessages ? n : kMaxMessages, true, 0);
}
// Context: gate
long gate_recvmmsg(GateCall& c) {
  const auto n = static_cast<uint32_t>(c.args[2]);
  return messages(c, n < kMaxMessages ? n : kMaxMessages, false, c.args[4]);
}

// Context: gate
long resume_messages(GateCall& c) {
  c.apply = apply_messages;
  return resume_waiting(c);
}

}  // namespace om::gate
