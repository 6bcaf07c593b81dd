// SPDX-License-Identifier: Apache-2.0
//
// sendmsg, recvmsg and their vector forms at home (layout: libom/abi/msgwire.h). For one message or many, the kernel
// gets an array of struct mmsghdr over our own memory; a single one is passed as the msghdr that it starts with.
#include "libom/stub/messages.h"

#include "libom/abi/kernel.h"
#include "libom/abi/msgwire.h"
#include "libom/abi/waiting.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/functions.h"
#include "libom/stub/objects.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/stub.h"
#include "libom/stub/unpack.h"
#include "libom/stub/window.h"

namespace om::stub {
namespace {

using safe::round8;

constexpr uint64_t kMaxTotal = 24u << 20;
// The kernel reports a name's full length, however little of it it has stored.
constexpr uint64_t kLongestName = 128;  // struct sockaddr_storage

uint64_t name_room(const WireMsg& w) {
  if (!w.has_name) return 0;
  return w.namelen < kLongestName ? kLongestName : round8(w.namelen);
}

struct Mmsghdr {
  k::Msghdr h;
  uint32_t len;
  uint32_t data;  // ours: bytes that the message's vector holds
};
static_assert(sizeof(Mmsghdr) == 64);

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

struct Parsed {
  uint64_t count;
  WireMsg wire[kMessagesPerCall];
  const uint8_t* name[kMessagesPerCall];
  const uint8_t* control[kMessagesPerCall];
  const uint8_t* data[kMessagesPerCall];
  k::Timespec timeout;
  bool timed;
};

enum class Passed { kNothing, kOurs, kObject };

// Whether control data hands out a descriptor that does not exist for the program, or one whose memory is away.
Passed passed_by(const uint8_t* control, uint64_t bytes) {
  Passed passed = Passed::kNothing;
  uint64_t at = 0;
  while (bytes - at >= sizeof(k::Cmsghdr)) {
    const auto head = safe::load<k::Cmsghdr>(control + at);
    if (head.len < sizeof head || head.len > bytes - at) return passed;  // refused by the kernel
    if (head.level == k::kSolSocket && head.type == k::kScmRights) {
      for (uint64_t i = sizeof head; i + 4 <= head.len; i += 4) {
        const auto fd = safe::load<uint32_t>(control + at + i);
        if (is_ours(fd)) return Passed::kOurs;
        if (object_of(fd) != kNoObject) passed = Passed::kObject;
      }
    }
    if (round8(head.len) > bytes - at) return passed;
    at += round8(head.len);
  }
  return passed;
}

long parse(HomeCall& c, bool sending, Parsed& p) {
  const uint8_t* count = take_ins(c, 8);
  if (count == nullptr) return -k::kEPROTO;
  p.count = safe::load<uint64_t>(count);
  if (p.count > kMessagesPerCall) return -k::kEPROTO;
  uint64_t total = 0;
  for (uint64_t i = 0; i < p.count; i++) {
    const uint8_t* w = take_ins(c, sizeof(WireMsg));
    if (w == nullptr) return -k::kEPROTO;
    p.wire[i] = safe::load<WireMsg>(w);
    WireMsg& m = p.wire[i];
    if (m.namelen > kMaxName || m.controllen > kMaxControl || m.data > kMaxTotal)
      return -k::kEPROTO;
    total += round8(m.namelen) + round8(m.controllen) + round8(m.data);
    if (total > kMaxTotal) return -k::kEPROTO;
    if (!sending) continue;
    p.name[i] = m.has_name ? take_ins(c, m.namelen) : nullptr;
    p.control[i] = m.has_control ? take_ins(c, m.controllen) : nullptr;
    p.data[i] = take_ins(c, m.data);
    if (m.has_control && p.control[i] != nullptr) {
      const Passed passed = passed_by(p.control[i], m.controllen);
      if (passed == Passed::kOurs) return -k::kEBADF;
      if (passed == Passed::kObject) return leave_it_to_program(c);
    }
    if ((m.has_name && p.name[i] == nullptr) || (m.has_control && p.control[i] == nullptr) ||
        p.data[i] == nullptr) {
      return -k::kEPROTO;
    }
  }
  p.timed = false;
  const uint32_t timeout = message_call_of(c.exec->nr).timeout;
  if (timeout != 0 && c.args[timeout] != 0) {
    const uint8_t* ts = take_ins(c, sizeof p.timeout);
    if (ts == nullptr) return -k::kEPROTO;
    p.timeout = safe::load<k::Timespec>(ts);
    p.timed = true;
  }
  return 0;
}

// Lays out mmsghdr[count], iovec[count] and, for receiving, the buffers. nullptr if memory is short.
Mmsghdr* lay_out(HomeCall& c, bool sending, Parsed& p) {
  uint64_t room = p.count * (sizeof(Mmsghdr) + sizeof(k::Iovec)) + sizeof(k::Timespec) + 64;
  // Packing needs as much again in the worst case: outputs go behind what the kernel filled.
  for (uint64_t i = 0; i < p.count && !sending; i++) {
    room += name_room(p.wire[i]) + round8(p.wire[i].controllen) + round8(p.wire[i].data);
  }
  uint8_t* at = bounce(c.thread, room * 2 + p.count * sizeof(WireMsg) + 64);
  if (at == nullptr) return nullptr;
  auto* headers = reinterpret_cast<Mmsghdr*>(at);
  auto* iov = reinterpret_cast<k::Iovec*>(at + p.count * sizeof(Mmsghdr));
  auto* ts = reinterpret_cast<k::Timespec*>(iov + p.count);
  *ts = p.timeout;
  uint8_t* next = reinterpret_cast<uint8_t*>(ts + 1);
  auto buffer = [&](uint64_t n) {
    uint8_t* b = next;
    next += round8(n);
    return address(b);
  };
  for (uint64_t i = 0; i < p.count; i++) {
    const WireMsg& w = p.wire[i];
    Mmsghdr& m = headers[i];
    safe::set_bytes(&m, 0, sizeof m);
    m.h.flags = w.flags;
    m.h.namelen = w.namelen;
    m.h.controllen = w.controllen;
    m.h.iov = address(&iov[i]);
    m.h.iovlen = 1;
    iov[i].len = w.data;
    if (sending) {
      m.h.name = address(p.name[i]);
      m.h.control = address(p.control[i]);
      iov[i].base = address(p.data[i]);
    } else {
      m.h.name = w.has_name ? buffer(name_room(w)) : 0;
      m.h.control = w.has_control ? buffer(w.controllen) : 0;
      iov[i].base = buffer(w.data);
    }
  }
  c.exec->aux = address(next);
  if (p.timed) c.exec->exec_args[message_call_of(c.exec->nr).timeout] = address(ts);
  return headers;
}

// Packs everything that came in, behind the buffers that received it.
void pack_messages(HomeCall& c, bool sending, const Mmsghdr* headers, uint64_t done, bool vector) {
  HomeThread* t = c.thread;
  auto* to = reinterpret_cast<uint8_t*>(c.exec->aux);
  auto* start = to;
  auto put = [&](const void* from, uint64_t n) {
    safe::copy_bytes(to, from, n);
    to += n;
    while ((address(to) - address(start)) & 7) *to++ = 0;
  };
  c.exec->aux = 0;
  put(&done, 8);
  for (uint64_t i = 0; i < done; i++) {
    const k::Msghdr& h = headers[i].h;
    const auto iov = safe::load<k::Iovec>(reinterpret_cast<void*>(h.iov));
    const uint64_t got = vector ? headers[i].len : static_cast<uint64_t>(c.exec->result);
    WireMsg w{};
    w.has_name = h.name != 0;
    w.has_control = h.control != 0;
    w.namelen = h.namelen;
    w.controllen = h.controllen;
    w.flags = h.flags;
    w.result = got;
    w.data = sending ? 0 : got < iov.len ? got : iov.len;
    const uint64_t name = w.namelen < kLongestName ? w.namelen : kLongestName;
    if (w.has_name) w.namelen = static_cast<uint32_t>(name);
    put(&w, sizeof w);
    if (sending) continue;
    if (w.has_name) put(reinterpret_cast<void*>(h.name), name);
    if (w.has_control) put(reinterpret_cast<void*>(h.control), w.controllen);
    put(reinterpret_cast<void*>(iov.base), w.data);
  }
  const uint32_t timeout = message_call_of(c.exec->nr).timeout;
  if (timeout != 0 && c.exec->exec_args[timeout] != 0) {
    put(reinterpret_cast<void*>(c.exec->exec_args[timeout]), sizeof(k::Timespec));
  }
  t->outs_address = address(start);
  t->outs_bytes = static_cast<uint64_t>(to - start);
}

long messages(HomeCall& c, bool sending, bool vector) {
  HomeExec& e = *c.exec;
  if (is_ours(c.args[0])) return -k::kEBADF;
  Parsed p;
  const long r = parse(c, sending, p);
  if (r != 0) return r;
  if (!vector && p.count != 1) return -k::kEPROTO;
  for (int i = 0; i < 6; i++) e.exec_args[i] = c.args[i];
  Mmsghdr* headers = lay_out(c, sending, p);
  if (headers == nullptr) return leave_it_to_program(c);
  e.exec_args[1] = address(headers);
  if (vector) e.exec_args[2] = p.count;
  const uint32_t timeout = message_call_of(e.nr).timeout;
  if (!p.timed && timeout != 0) e.exec_args[timeout] = 0;
  e.result = run_window(c.thread, c.desc);
  const bool filled = e.result > 0 || (e.result == 0 && !vector);
  if (filled && !(e.ret_flags & kRetRestart) && (!sending || vector)) {
    pack_messages(c, sending, headers, vector ? static_cast<uint64_t>(e.result) : 1, vector);
  } else {
    e.aux = 0;
  }
  return e.result;
}

}  // namespace

namespace {

// Bytes of a message in the program's memory that its vector has room for: with MSG_TRUNC the kernel reports more.
uint32_t data_bytes(const Mmsghdr& m) {
  uint64_t room = 0;
  for (uint64_t v = 0; v < m.h.iovlen && v < safe::kMaxIov && room < m.len; v++) {
    k::Iovec iov;
    if (!read_program(&iov, m.h.iov + v * sizeof iov, sizeof iov)) break;
    room = iov.len > m.len - room ? m.len : room + iov.len;
  }
  return static_cast<uint32_t>(room < m.len ? room : m.len);
}

WireMsg wire_of(const Mmsghdr& m) {
  WireMsg w{};
  w.has_name = m.h.name != 0;
  w.has_control = m.h.control != 0;
  w.namelen = m.h.namelen < kMaxName ? m.h.namelen : static_cast<uint32_t>(kMaxName);
  w.controllen = m.h.controllen < kMaxControl ? m.h.controllen : kMaxControl;
  w.flags = m.h.flags;
  w.result = m.len;
  w.data = m.data;
  return w;
}

}  // namespace

// Context: exec
void pack_messages(HomeThread* t) {
  HomeExec& e = t->call;
  const auto [vector, receiving, timeout] = message_call_of(e.nr);
  t->outs_address = t->outs_bytes = 0;
  if (e.result < 0 || (e.ret_flags & kRetRestart) || (!receiving && !vector)) return;
  const uint64_t done = vector ? static_cast<uint64_t>(e.result) : 1;
  // The headers lie in the program's memory, which others may write: copy them once, to the receive buffer.
  // No message has arrived on a connection of this thread yet.
  auto* headers = reinterpret_cast<Mmsghdr*>(slot_base(t) + kSlotRecv);
  static_assert(sizeof(Mmsghdr) * safe::kMaxIov <= kSlotRecvSize);  // UIO_MAXIOV messages, too
  const uint64_t bytes = vector ? done * sizeof(Mmsghdr) : sizeof(k::Msghdr);
  const bool readable = done <= safe::kMaxIov && read_program(headers, e.exec_args[1], bytes);
  if (!vector) headers[0].len = static_cast<uint32_t>(e.result);
  uint64_t room = 8 + sizeof(k::Timespec);
  for (uint64_t i = 0; i < done && readable; i++) {
    headers[i].data = receiving ? data_bytes(headers[i]) : 0;
    const WireMsg w = wire_of(headers[i]);
    room += sizeof w + round8(w.namelen) + round8(w.controllen) + round8(w.data);
  }
  uint8_t* const to = readable ? bounce(t, room) : nullptr;
  if (to == nullptr) {
    e.result = readable ? -k::kENOMEM : -k::kEFAULT;
    return;
  }
  safe::store(to, done);
  uint64_t used = 8;
  bool ok = true;
  auto put = [&](uint64_t from, uint64_t n) {
    ok = ok && read_program(to + used, from, n);
    used += round8(n);
  };
  for (uint64_t i = 0; i < done; i++) {
    const k::Msghdr& h = headers[i].h;
    const WireMsg w = wire_of(headers[i]);
    safe::store(to + used, w);
    used += sizeof w;
    if (!receiving) continue;
    if (w.has_name) {
      // The kernel reports its full length, however little room the program has given: memory behind that room need not
      // be readable, and is not used.
      const uint64_t here = kPageSize - h.name % kPageSize;
      const uint64_t first = w.namelen < here ? w.namelen : here;
      ok = ok && read_program(to + used, h.name, first);
      if (w.namelen > first) read_program(to + used + first, h.name + first, w.namelen - first);
      used += round8(w.namelen);
    }
    if (w.has_control) put(h.control, w.controllen);
    uint64_t left = w.data;
    for (uint64_t v = 0; v < h.iovlen && v < safe::kMaxIov && left > 0 && ok; v++) {
      k::Iovec iov;
      ok = read_program(&iov, h.iov + v * sizeof iov, sizeof iov);
      const uint64_t n = !ok ? 0 : iov.len < left ? iov.len : left;
      ok = ok && read_program(to + used, iov.base, n);
      used += n;
      left -= n;
    }
    used += left + round8(w.data) - w.data;
  }
  if (timeout != 0 && e.exec_args[timeout] != 0) put(e.exec_args[timeout], sizeof(k::Timespec));
  if (!ok) {
    e.result = -k::kEFAULT;
    return;
  }
  t->outs_address = address(to);
  t->outs_bytes = used;
}

// Context: exec
long apply_messages(HomeThread* t) {
  HomeExec& e = t->call;
  const auto [vector, receiving, timeout] = message_call_of(e.nr);
  const auto* from = reinterpret_cast<const uint8_t*>(t->outs_address);
  if (t->outs_bytes < 8) return 0;
  const auto count = safe::load<uint64_t>(from);
  from += 8;
  long fault = 0;
  auto write = [&](uint64_t to, const void* data, uint64_t n) {
    if (n > 0 && !write_program(to, data, n)) fault = -k::kEFAULT;
  };
  for (uint64_t i = 0; i < count; i++) {
    const auto w = safe::load<WireMsg>(from);
    from += sizeof w;
    const uint64_t at = e.program_args[1] + (vector ? i * sizeof(Mmsghdr) : 0);
    k::Msghdr h;
    if (!read_program(&h, at, sizeof h)) return -k::kEFAULT;
    if (receiving) {
      if (w.has_name) {
        write(h.name, from, w.namelen < h.namelen ? w.namelen : h.namelen);
        from += round8(w.namelen);
      }
      if (w.has_control) {
        write(h.control, from, w.controllen < h.controllen ? w.controllen : h.controllen);
        from += round8(w.controllen);
      }
      uint64_t left = w.data;
      for (uint64_t v = 0; v < h.iovlen && left > 0; v++) {
        k::Iovec iov;
        if (!read_program(&iov, h.iov + v * sizeof iov, sizeof iov)) return -k::kEFAULT;
        const uint64_t n = iov.len < left ? iov.len : left;
        write(iov.base, from + (w.data - left), n);
        left -= n;
      }
      from += round8(w.data);
      if (h.name != 0) h.namelen = w.namelen;
      h.controllen = w.controllen;
      h.flags = w.flags;
      write(at, &h, sizeof h);
    }
    const auto len = static_cast<uint32_t>(w.result);
    if (vector) write(at + sizeof h, &len, 4);
  }
  const bool timed = timeout != 0 && e.program_args[timeout] != 0;
  if (timed && t->outs_address + t->outs_bytes >= address(from) + sizeof(k::Timespec)) {
    write(e.program_args[timeout], from, sizeof(k::Timespec));
  }
  return fault;
}

// Context: exec
long home_sendmsg(HomeCall& c) { return messages(c, true, false); }
// Context: exec
long home_recvmsg(HomeCall& c) { return messages(c, false, false); }
// Context: exec
long home_sendmmsg(HomeCall& c) { return messages(c, true, true); }
// Context: exec
long home_recvmmsg(HomeCall& c) { return messages(c, false, true); }

}  // namespace om::stub
