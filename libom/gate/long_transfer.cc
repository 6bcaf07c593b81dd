// SPDX-License-Identifier: Apache-2.0
//
// Transfers of more bytes than one Call may have. Files and memory devices are served piece by piece, which makes no
// difference as long as each piece is done in full. One piece is enough for descriptors that never transfer more at
// once. For everything else (waiting writers, messages, appending, unbuffered files) the program comes home. Called by
// forward().
#include "libom/gate/long_transfer.h"

#include "libom/abi/kernel.h"
#include "libom/gate/forward.h"
#include "libom/gate/gather.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/numbers.h"

namespace om::gate {
namespace {

// Copies the elements of [v, v + n) that hold the bytes [from, from + room), shortened to these. Their number.
uint64_t part_of_vector(uint64_t v, uint64_t n, uint64_t from, uint64_t room, k::Iovec* to) {
  uint64_t count = 0;
  for (uint64_t i = 0; i < n && room > 0; i++) {
    k::Iovec e;
    if (!read_program(e, v + i * sizeof e)) break;
    const uint64_t skip = e.len < from ? e.len : from;
    from -= skip;
    e.base += skip;
    e.len = e.len - skip < room ? e.len - skip : room;
    room -= e.len;
    if (e.len > 0) to[count++] = e;
  }
  return count;
}

// Transfers in pieces, as long as each is done in full. The sum of the earlier ones is on this stack, so the
// thread does not park for a stop while it waits (c.hold), and home allows this for files and memory only.
[[gnu::noinline]] long in_pieces(GateCall& c, const WaitDesc& how) {
  constexpr uint64_t kMaxRw = 0x7ffff000;  // MAX_RW_COUNT
  k::Iovec part[safe::kMaxIov];
  const uint64_t at = c.args[1], n = c.args[2];
  const bool positioned = how.offset != 0 && c.args[how.offset] != ~uint64_t{0};
  uint64_t done = 0;
  c.hold = 1;
  while (done < kMaxRw) {
    uint64_t want = kMaxRw - done < kMaxTransfer ? kMaxRw - done : kMaxTransfer;
    if (how.pieces_vector) {
      c.args[1] = reinterpret_cast<uint64_t>(part);
      c.args[2] = part_of_vector(at, n, done, want, part);
      if (c.args[2] == 0) break;
    } else {
      if (n - done < want) want = n - done;
      if (want == 0) break;
      c.args[1] = at + done;
      c.args[2] = want;
    }
    const long r = attempt(c, c.nr, *c.desc, true);
    if (r < 0 && done == 0)
      return r == kOnlyHome || r == kTooLong ? come_home(c) : after_answer(c, r);
    if (r <= 0) break;  // what has been transferred is the result
    done += static_cast<uint64_t>(r);
    if (positioned) c.args[how.offset] += static_cast<uint64_t>(r);
    uint64_t asked = how.pieces_vector ? 0 : want;
    for (uint64_t i = 0; how.pieces_vector && i < c.args[2]; i++) asked += part[i].len;
    if (static_cast<uint64_t>(r) < asked) break;
  }
  return static_cast<long>(done);
}

}  // namespace

// Context: gate
long long_transfer(GateCall& c) {
  const WaitDesc& how = wait_desc(*c.desc);
  if (!holds(how.pieces_if, c.args)) return come_home(c);
  switch (transfer_kind(c, how.message_flags != 0 ? c.args[how.message_flags] : 0)) {
    case kTransferPieces:
      return in_pieces(c, how);
    case kTransferOne: {
      if (!how.pieces_vector) c.args[2] = kMaxTransfer;
      const long r = attempt(c, c.nr, *c.desc, true);
      return r == kTooLong || r == kOnlyHome ? come_home(c) : after_answer(c, r);
    }
    default:
      return come_home(c);
  }
}

// Context: gate
long transfer_kind(GateCall& c, uint64_t message_flags) {
  const uint64_t args[6] = {c.args[0], c.nr, message_flags, 0, 0, 0};
  return call_home(c, kNrTransfer, args, true);
}

}  // namespace om::gate
