// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: XSAVE areas and their layouts as a peer describes them (common/cpu/xstate.h). The input is two layouts
// (each: components, then offset and size of each) and an area. A valid area converts to one that is valid there, or is
// refused; after conversion there and back no new component is live but PKRU and SSE.
#include "common/cpu/xstate.h"

#include <vector>

#include "test/fuzz/fuzz.h"

namespace {

using om::fuzz::require;

om::XstateLayout take_layout(om::fuzz::Bytes& input) {
  om::XstateLayout layout;
  layout.size = input.take<uint16_t>();
  layout.mxcsr_mask = input.take<uint16_t>();
  layout.xcr0 = input.take<uint32_t>() | 3;
  for (int i = 2; i < 32; ++i) {
    if ((layout.xcr0 & om::xstate_bit(i)) == 0) continue;
    layout.comp[i].offset = input.take<uint16_t>();
    layout.comp[i].size = input.take<uint16_t>();
  }
  return layout;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::fuzz::Bytes input(data, size);
  const om::XstateLayout from = take_layout(input), to = take_layout(input);
  const bool sound = static_cast<bool>(om::validate(from)) && static_cast<bool>(om::validate(to));
  if (!sound) return 0;
  const auto area = std::as_bytes(std::span(input.rest(), input.rest_size()));
  if (!om::validate(from, area)) return 0;
  uint64_t live = om::live_components(from, area);
  require((live & ~from.xcr0) == 0);
  static_cast<void>(om::component_names(live));
  // What a conversion may add: the kernel's default PKRU, and the SSE bit that makes a changed MXCSR count.
  live |= om::xstate_bit(om::kXstatePkru) | om::xstate_bit(om::kXstateSse);
  std::vector<std::byte> there(to.size), back(from.size);
  if (!om::convert(from, area, to, there)) return 0;
  require(static_cast<bool>(om::validate(to, there)));
  require((om::live_components(to, there) & ~live) == 0);
  // Refused if the area had bits of MXCSR that its own machine lacks.
  if (!om::convert(to, there, from, back)) return 0;
  require((om::live_components(from, back) & ~live) == 0);
  return 0;
}
