// SPDX-License-Identifier: Apache-2.0
//
// execve happens at home, natively: close-on-exec, the new image, its preload. The gate only sends the
// strings there. If it succeeds nobody in this body is left to answer to; the deputy ends it.
#include "libom/abi/kernel.h"
#include "libom/gate/channel.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::sys;

constexpr uint64_t kMaxString = 131072;     // MAX_ARG_STRLEN
constexpr uint64_t kMaxStrings = 6u << 20;  // 3/4 of the largest argument area
constexpr long kE2big = -7;

// Counts the strings of a NULL-terminated vector and their bytes. 0 or -errno.
long measure(uint64_t vector, uint64_t& count, uint64_t& bytes) {
  count = 0;
  if (vector == 0) return 0;
  for (;; count++) {
    uint64_t s;
    if (!read_program(s, vector + count * 8)) return -k::kEFAULT;
    if (s == 0) return 0;
    const long n = program_string(s, kMaxString);
    if (n == -k::kEFAULT) return n;
    if (n < 0) return kE2big;
    bytes += static_cast<uint64_t>(n);
    if (bytes + count * 8 > kMaxStrings) return kE2big;
  }
}

long pack(uint64_t vector, uint64_t count, uint8_t*& to, const uint8_t* end) {
  for (uint64_t i = 0; i < count; i++) {
    uint64_t s;
    if (!read_program(s, vector + i * 8)) return -k::kEFAULT;
    const long n = program_string(s, kMaxString);
    if (n < 0) return n;
    if (n > end - to) return -k::kEFAULT;  // another thread changed the strings
    if (!read_program(to, s, static_cast<size_t>(n))) return -k::kEFAULT;
    to[n - 1] = 0;
    to += n;
  }
  return 0;
}

}  // namespace

// Context: gate
long gate_execve(GateCall& c) {
  if (g_body.writes_files != 0) return come_home(c);
  if (c.thread->kick) return kPark;
  const bool at = c.nr == kNr_execveat;
  const uint64_t path = c.args[at ? 1 : 0], argv = c.args[at ? 2 : 1], envp = c.args[at ? 3 : 2];
  const long path_bytes = program_string(path, 4096);
  if (path_bytes < 0) return path_bytes;
  uint64_t counts[2], bytes = 0;
  long r = measure(argv, counts[0], bytes);
  if (r == 0) r = measure(envp, counts[1], bytes);
  if (r != 0) return r;
  const uint64_t room = (bytes + kPageSize) & ~(kPageSize - 1);
  const long buffer = sys(kNr_mmap, 0, room, k::kProtRead | k::kProtWrite,
                          k::kMapPrivate | k::kMapAnonymous, -1, 0);
  if (buffer < 0 && buffer > -4096) return buffer;
  auto* to = reinterpret_cast<uint8_t*>(buffer);
  const uint8_t* end = to + bytes;
  r = pack(argv, counts[0], to, end);
  if (r == 0) r = pack(envp, counts[1], to, end);
  if (r == 0) {
    // ins: path, counts, the strings one after the other.
    constexpr uint64_t kZero = 0;
    Ins ins;
    const auto n = static_cast<uint64_t>(path_bytes);
    const uint64_t used = static_cast<uint64_t>(to - reinterpret_cast<uint8_t*>(buffer));
    const auto zero = reinterpret_cast<uint64_t>(&kZero);
    ins.count = 5;
    ins.piece[0] = {path, n};
    ins.piece[1] = {zero, safe::round8(n) - n};
    ins.piece[2] = {reinterpret_cast<uint64_t>(counts), 16};
    ins.piece[3] = {static_cast<uint64_t>(buffer), used};
    ins.piece[4] = {zero, safe::round8(used) - used};
    ins.bytes = safe::round8(n) + 16 + safe::round8(used);
    r = call_home_with(c, c.nr, c.args, ins, nullptr, true);
  }
  sys(kNr_munmap, buffer, room);
  return after_answer(c, r);
}

// Ends every thread at home; the status is the process's. The keeper ends the body. What the body has stored for a file
// gets there first.
// Context: gate
long gate_exit_group(GateCall& c) {
  if (g_body.writes_files != 0) return come_home(c);
  return call_home(c, kNr_exit_group, c.args);
}

}  // namespace om::gate
