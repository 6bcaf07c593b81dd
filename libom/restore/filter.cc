// SPDX-License-Identifier: Apache-2.0
//
// See filter.h. The filter is a straight list: one comparison per call, followed by a few loads for calls with argument
// checks; one instruction costs about half a nanosecond. The table of calls determines the list and its order
// (add_body_rules).
#include "libom/restore/filter.h"

#include "libom/abi/gen/syscalls_body.h"
#include "libom/abi/kernel.h"

namespace om::restore {
namespace {

constexpr uint16_t kLoad = 0x20, kAnd = 0x54, kJumpEq = 0x15, kJumpGe = 0x35, kReturn = 0x06;
constexpr uint32_t kAllow = 0x7fff0000, kTrap = 0x00030000, kKillProcess = 0x80000000;
// struct seccomp_data
constexpr uint32_t kOffNr = 0, kOffArch = 4, kOffIpLow = 8, kOffIpHigh = 12;
constexpr uint32_t arg_low(uint32_t i) { return 16 + 8 * i; }
constexpr uint32_t arg_high(uint32_t i) { return 20 + 8 * i; }

class Builder {
 public:
  explicit Builder(BpfInstruction* out) : out_(out) {}
  void add(uint16_t code, uint32_t k, uint8_t jt = 0, uint8_t jf = 0) {
    if (count_ < kMaxFilter) out_[count_] = {code, jt, jf, k};
    count_++;
  }
  void load(uint32_t offset) { add(kLoad, offset); }
  void give(uint32_t what) { add(kReturn, what); }
  // nr is in the accumulator. Allows it whatever its arguments.
  void allow(uint32_t nr) {
    add(kJumpEq, nr, 0, 1);
    give(kAllow);
  }
  // Allows it only if argument `i` (all 64 bits) is one of the values.
  template <uint32_t N>
  void allow_if(uint32_t nr, uint32_t i, const uint32_t (&values)[N]) {
    add(kJumpEq, nr, 0, static_cast<uint8_t>(N + 5));
    load(arg_high(i));
    add(kJumpEq, 0, 0, N + 1);
    load(arg_low(i));
    for (uint32_t n = 0; n < N; n++) add(kJumpEq, values[n], static_cast<uint8_t>(N - n), 0);
    give(kKillProcess);
    give(kAllow);
  }
  // Allows it only if argument `i`, an int, is one of the values apart from the bits in `ignored`.
  template <uint32_t N>
  void allow_command(uint32_t nr, uint32_t i, uint32_t ignored, const uint32_t (&values)[N]) {
    add(kJumpEq, nr, 0, static_cast<uint8_t>(N + 4));
    load(arg_low(i));
    add(kAnd, ~ignored);
    for (uint32_t n = 0; n < N; n++) add(kJumpEq, values[n], static_cast<uint8_t>(N - n), 0);
    give(kKillProcess);
    give(kAllow);
  }
  // Allows it only if argument `i` has all bits of `needed` (a subset of `allowed`) and none outside of `allowed`.
  void allow_flags(uint32_t nr, uint32_t i, uint32_t needed, uint32_t allowed) {
    add(kJumpEq, nr, 0, 7);
    load(arg_high(i));
    add(kJumpEq, 0, 0, 4);
    load(arg_low(i));
    add(kAnd, needed | ~allowed);
    add(kJumpEq, needed, 0, 1);
    give(kAllow);
    give(kKillProcess);
  }
  // Allows it with any value of argument `i`, an int, except this one.
  void allow_but(uint32_t nr, uint32_t i, uint32_t value) {
    add(kJumpEq, nr, 0, 4);
    load(arg_low(i));
    add(kJumpEq, value, 0, 1);
    give(kKillProcess);
    give(kAllow);
  }
  uint32_t count() const { return count_ <= kMaxFilter ? count_ : 0; }

 private:
  BpfInstruction* out_;
  uint32_t count_ = 0;
};

}  // namespace

// Context: restore
uint32_t build_filter(uint64_t gate_lo, uint64_t gate_hi, BpfInstruction out[kMaxFilter]) {
  const auto high = static_cast<uint32_t>(gate_lo >> 32);
  if (gate_hi <= gate_lo || static_cast<uint32_t>((gate_hi - 1) >> 32) != high) return 0;
  Builder b(out);
  // The kernel reports the address after the instruction: gate_lo < ip < gate_hi.
  b.load(kOffIpHigh);
  b.add(kJumpEq, high, 1, 0);
  b.give(kTrap);
  b.load(kOffIpLow);
  b.add(kJumpGe, static_cast<uint32_t>(gate_lo), 1, 0);
  b.give(kTrap);
  b.add(kJumpGe, static_cast<uint32_t>(gate_hi - 1) + 1, 0, 1);
  b.give(kTrap);
  b.load(kOffArch);
  b.add(kJumpEq, k::kAuditArchX86_64, 1, 0);
  b.give(kKillProcess);
  b.load(kOffNr);

  add_body_rules(b);
  b.give(kKillProcess);
  return b.count();
}

}  // namespace om::restore
