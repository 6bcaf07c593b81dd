// SPDX-License-Identifier: Apache-2.0
//
// See xstate.h. The slot's frame area holds two layouts side by side while converting: the CPU's own at
// kFrameXsave, home's behind it.
#include "libom/gate/xstate.h"

#include "libom/abi/kernel.h"
#include "libom/gate/gate.h"
#include "libom/gate/signal.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/mem.h"

namespace om::gate {
namespace {

constexpr uint64_t kLegacy = 512, kHeader = 64;
constexpr uint64_t kMxcsr = 24;
constexpr uint64_t kInitialMxcsr = 0x1f80, kInitialFcw = 0x37f;

uint8_t* local_area(BodyThread* t) {
  return reinterpret_cast<uint8_t*>(slot_base(t) + kSlotFrame + kFrameXsave);
}
uint8_t* home_area(BodyThread* t) {
  return local_area(t) + ((g_body.local_xstate.size + 63) & ~uint64_t{63});
}

bool same_layout() {
  const auto& a = g_body.home_xstate;
  const auto& b = g_body.local_xstate;
  return a.size == b.size && a.xcr0 == b.xcr0 &&
         memcmp(a.component, b.component, sizeof a.component) == 0;
}

void save_local(BodyThread* t) {
  uint8_t* area = local_area(t);
  safe::set_bytes(area, 0, g_body.local_xstate.size);
  om_xsave(area);
}

}  // namespace

// Context: any
void convert_xstate(const XstateTable& from, const uint8_t* in, const XstateTable& to,
                    uint8_t* out) {
  safe::set_bytes(out, 0, to.size);
  safe::copy_bytes(out, in, kLegacy);
  uint64_t live = safe::load<uint64_t>(in + k::kXsaveHeader) & from.xcr0 & to.xcr0;
  for (uint32_t i = 2; i < 20; i++) {
    if (!(live >> i & 1)) continue;
    const auto& a = from.component[i];
    const auto& b = to.component[i];
    if (a.size == 0 || a.size != b.size || a.offset + a.size > from.size ||
        b.offset + b.size > to.size) {
      live &= ~(uint64_t{1} << i);
      continue;
    }
    safe::copy_bytes(out + b.offset, in + a.offset, a.size);
  }
  live &= 0xfffff;
  safe::store(out + k::kXsaveHeader, live);
}

// Context: gate
uint8_t* save_vector_state(BodyThread* t) {
  save_local(t);
  if (same_layout()) return local_area(t);
  convert_xstate(g_body.local_xstate, local_area(t), g_body.home_xstate, home_area(t));
  return home_area(t);
}

// Context: gate
uint64_t park_vector_state(BodyThread* t) {
  save_local(t);
  return g_body.local_xstate.size;
}

// Context: gate
void init_vector_state(BodyThread* t) {
  uint8_t* area = local_area(t);
  safe::set_bytes(area, 0, kLegacy + kHeader);
  safe::store(area, static_cast<uint16_t>(kInitialFcw));
  safe::store(area + kMxcsr, static_cast<uint32_t>(kInitialMxcsr));
  om_xrstor(area);
}

// Context: gate
long load_vector_state(BodyThread* t, uint64_t fpstate) {
  if (fpstate == 0) {
    init_vector_state(t);
    return 0;
  }
  const XstateTable& home = g_body.home_xstate;
  uint8_t* const area = same_layout() ? local_area(t) : home_area(t);
  safe::set_bytes(area, 0, home.size);
  if (!read_program(area, fpstate, kLegacy)) return -k::kEFAULT;
  const auto sw = safe::load<k::FpSw>(area + k::kFpSwOffset);
  uint32_t magic2 = 0;
  const bool extended = sw.magic1 == k::kFpMagic1 && sw.xstate_size >= kLegacy + kHeader &&
                        sw.xstate_size <= home.size && sw.xstate_size <= sw.extended_size &&
                        read_program(magic2, fpstate + sw.xstate_size) && magic2 == k::kFpMagic2;
  uint64_t live = 3;  // like the kernel: without the magic only x87 and SSE are restored
  if (extended) {
    if (!read_program(area + kLegacy, fpstate + kLegacy, sw.xstate_size - kLegacy))
      return -k::kEFAULT;
    live = safe::load<uint64_t>(area + k::kXsaveHeader) & home.xcr0 & sw.xfeatures;
  }
  // The header's other words must be zero, MXCSR may only have bits that exist.
  safe::set_bytes(area + k::kXsaveHeader, 0, kHeader);
  safe::store(area + k::kXsaveHeader, live);
  safe::store(area + kMxcsr, safe::load<uint32_t>(area + kMxcsr) & 0xffff);
  if (!same_layout()) {
    convert_xstate(home, area, g_body.local_xstate, local_area(t));
  }
  om_xrstor(local_area(t));
  return 0;
}

}  // namespace om::gate
