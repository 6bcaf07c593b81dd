// SPDX-License-Identifier: Apache-2.0
#include "common/cpu/xstate.h"

#include <cpuid.h>
#include <string.h>

#include <algorithm>

namespace om {
namespace {

// Offsets within the legacy area.
constexpr size_t kMxcsrOffset = 24;
constexpr size_t kMxcsrMaskOffset = 28;
constexpr size_t kStOffset = 32;    // st(0)..st(7), 16 bytes each
constexpr size_t kXmmOffset = 160;  // xmm0..xmm15
constexpr size_t kXmmEnd = 416;
constexpr size_t kBvOffset = kXsaveLegacyBytes;

constexpr uint32_t kMxcsrInitial = 0x1f80;
constexpr uint32_t kMxcsrMaskDefault = 0xffbf;  // of CPUs that report 0
constexpr uint32_t kMxcsrDaz = 1u << 6;
constexpr uint32_t kMxcsrMisaligned = 1u << 17;
constexpr uint16_t kFcwInitial = 0x37f;
constexpr uint32_t kPkruDefault = 0x55555554;  // Linux: all keys but 0 closed
constexpr uint32_t kPkruKey0 = 3;

constexpr uint64_t kLegacyBits = xstate_bit(kXstateX87) | xstate_bit(kXstateSse);
// PT, PASID, CET, HDC, UINTR, LBR, HWP are supervisor state and never in XCR0; bit 63 is reserved.
constexpr uint64_t kNeverUser = xstate_bit(8) | uint64_t{0x1fc00} | xstate_bit(63);
constexpr uint64_t kAvx512Bits =
    xstate_bit(kXstateOpmask) | xstate_bit(kXstateZmmHi256) | xstate_bit(kXstateHi16Zmm);
constexpr uint64_t kMpxBits = xstate_bit(kXstateBndregs) | xstate_bit(kXstateBndcsr);
constexpr uint64_t kAmxBits = xstate_bit(kXstateTileConfig) | xstate_bit(kXstateTileData);

template <class T>
T load(std::span<const std::byte> area, size_t offset) {
  T value;
  memcpy(&value, area.data() + offset, sizeof value);
  return value;
}

template <class T>
void store(std::span<std::byte> area, size_t offset, T value) {
  memcpy(area.data() + offset, &value, sizeof value);
}

void copy(std::span<const std::byte> from, size_t from_offset, std::span<std::byte> to,
          size_t to_offset, size_t size) {
  memcpy(to.data() + to_offset, from.data() + from_offset, size);
}

// Calls f(component, its layout) for the components of `set` beyond the legacy area.
template <class F>
void for_each_extended(const XstateLayout& layout, uint64_t set, F f) {
  for (int i = 2; i < kXstateComponents; ++i) {
    if ((set & xstate_bit(i)) != 0) f(i, layout.comp[i]);
  }
}

uint64_t read_xcr0() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low | uint64_t{high} << 32;
}

uint32_t read_mxcsr_mask() {
  alignas(64) std::byte image[kXsaveLegacyBytes] = {};
  asm volatile("fxsave64 %0" : "=m"(image));
  uint32_t mask = load<uint32_t>(image, kMxcsrMaskOffset);
  return mask == 0 ? kMxcsrMaskDefault : mask;
}

uint32_t end_of_components(const XstateLayout& layout, uint64_t set) {
  uint32_t end = kXsaveMinBytes;
  for_each_extended(layout, set, [&](int, const XstateLayout::Component& c) {
    end = std::max(end, c.offset + c.size);
  });
  return end;
}

Error bad(std::string what) { return Error{EBADMSG, "xstate: " + std::move(what)}; }

bool pkru_allows_key0(const XstateLayout& layout, std::span<const std::byte> area) {
  return (load<uint32_t>(area, layout.comp[kXstatePkru].offset) & kPkruKey0) == 0;
}

// The value of MXCSR on the target, or an error for a mode that the target lacks.
Result<uint32_t> convert_mxcsr(const XstateLayout& from, std::span<const std::byte> area,
                               const XstateLayout& to) {
  uint32_t mxcsr = load<uint32_t>(area, kMxcsrOffset) & from.mxcsr_mask;
  uint32_t lost = mxcsr & ~to.mxcsr_mask;
  if ((lost & kMxcsrMisaligned) != 0) return Error{ENOTSUP, "misaligned-SSE mode (MXCSR.MM) is on"};
  if ((lost & kMxcsrDaz) != 0) return Error{ENOTSUP, "denormals-are-zeros mode (MXCSR.DAZ) is on"};
  return mxcsr & to.mxcsr_mask;
}

void convert_legacy(std::span<const std::byte> area, uint64_t bv, std::span<std::byte> out) {
  if ((bv & xstate_bit(kXstateX87)) != 0) {
    copy(area, 0, out, 0, kMxcsrOffset);
    copy(area, kStOffset, out, kStOffset, kXmmOffset - kStOffset);
  } else {
    store(out, 0, kFcwInitial);
  }
  if ((bv & xstate_bit(kXstateSse)) != 0)
    copy(area, kXmmOffset, out, kXmmOffset, kXmmEnd - kXmmOffset);
}

}  // namespace

Result<XstateLayout> local_layout() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  constexpr uint32_t kOsxsave = 1u << 27;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsxsave) == 0)
    return Error{ENOTSUP, "CPU without XSAVE"};
  XstateLayout layout;
  layout.xcr0 = read_xcr0();
  layout.mxcsr_mask = read_mxcsr_mask();
  if (__get_cpuid_count(0xd, 0, &a, &b, &c, &d) == 0)
    return Error{ENOTSUP, "CPU without CPUID leaf 0xD"};
  layout.size = b;  // for the components that XCR0 has now
  for (uint32_t i = 2; i < kXstateComponents; ++i) {
    if ((layout.xcr0 & xstate_bit(static_cast<int>(i))) == 0) continue;
    __cpuid_count(0xd, i, a, b, c, d);
    layout.comp[i] = {b, a};
  }
  Result<void> sane = validate(layout);
  if (!sane) return Error{ENOTSUP, "CPUID leaf 0xD makes no sense: " + sane.error().what};
  return layout;
}

XstateLayout restrict_layout(const XstateLayout& layout, uint64_t mask) {
  XstateLayout out;
  out.mxcsr_mask = layout.mxcsr_mask;
  out.xcr0 = layout.xcr0 & (mask | kLegacyBits);
  for_each_extended(layout, out.xcr0,
                    [&](int i, const XstateLayout::Component& c) { out.comp[i] = c; });
  out.size = end_of_components(out, out.xcr0);
  return out;
}

Result<void> validate(const XstateLayout& layout) {
  if ((layout.xcr0 & kLegacyBits) != kLegacyBits) return bad("XCR0 lacks x87 or SSE");
  if ((layout.xcr0 & kNeverUser) != 0) return bad("XCR0 names components that no program can have");
  if (layout.size < kXsaveMinBytes || layout.size > kXsaveMaxBytes)
    return bad("area size is out of range");
  if ((layout.mxcsr_mask & kMxcsrInitial) != kMxcsrInitial)
    return bad("MXCSR mask is out of range");
  for (int i = 2; i < kXstateComponents; ++i) {
    if ((layout.xcr0 & xstate_bit(i)) == 0) continue;
    const XstateLayout::Component& c = layout.comp[i];
    std::string name = "component " + std::to_string(i);
    if (c.size == 0 || c.size > layout.size) return bad(name + ": size is out of range");
    if (c.offset < kXsaveMinBytes || c.offset > layout.size - c.size)
      return bad(name + ": outside the area");
    if (c.offset % 8 != 0) return bad(name + ": not aligned");
    if (i == kXstatePkru && c.size < sizeof(uint32_t)) return bad(name + ": too small");
    for (int j = 2; j < i; ++j) {
      if ((layout.xcr0 & xstate_bit(j)) == 0) continue;
      const XstateLayout::Component& other = layout.comp[j];
      if (c.offset < other.offset + other.size && other.offset < c.offset + c.size) {
        return bad(name + ": overlaps component " + std::to_string(j));
      }
    }
  }
  return {};
}

Result<void> validate(const XstateLayout& layout, std::span<const std::byte> area) {
  Result<void> sane = validate(layout);
  if (!sane) return sane;
  if (area.size() < kXsaveMinBytes || area.size() > kXsaveMaxBytes)
    return bad("area size is out of range");
  uint64_t bv = load<uint64_t>(area, kBvOffset);
  if ((bv & ~layout.xcr0) != 0) return bad("XSTATE_BV has components that XCR0 lacks");
  if (load<uint64_t>(area, kBvOffset + 8) != 0) return bad("compacted format");
  for (size_t at = kBvOffset + 16; at < kXsaveMinBytes; at += 8) {
    if (load<uint64_t>(area, at) != 0) return bad("reserved header bytes are not zero");
  }
  if (area.size() < end_of_components(layout, bv)) return bad("area ends inside a component");
  return {};
}

uint64_t live_components(const XstateLayout& layout, std::span<const std::byte> area) {
  uint64_t bv = load<uint64_t>(area, kBvOffset);
  uint64_t live = bv & kLegacyBits;
  for_each_extended(layout, bv & layout.xcr0, [&](int i, const XstateLayout::Component& c) {
    std::span<const std::byte> bytes = area.subspan(c.offset, c.size);
    if (std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; }))
      live |= xstate_bit(i);
  });
  return live;
}

std::string component_names(uint64_t components) {
  std::string names;
  auto add = [&](uint64_t bits, const char* name) {
    if ((components & bits) == 0) return;
    if (!names.empty()) names += ", ";
    names += name;
    components &= ~bits;
  };
  add(xstate_bit(kXstateX87), "x87");
  add(xstate_bit(kXstateSse), "SSE");
  add(xstate_bit(kXstateAvx), "AVX");
  add(kMpxBits, "MPX");
  add(kAvx512Bits, "AVX-512");
  add(xstate_bit(kXstatePkru), "protection-key");
  add(kAmxBits, "AMX");
  add(xstate_bit(kXstateApx), "APX");
  for (int i = 0; i < kXstateComponents; ++i) {
    add(xstate_bit(i), ("component-" + std::to_string(i)).c_str());
  }
  return names;
}

Result<void> convert(const XstateLayout& from, std::span<const std::byte> area,
                     const XstateLayout& to, std::span<std::byte> out) {
  for (Result<void> checked : {validate(to), validate(from, area)}) {
    if (!checked) return checked;
  }
  if (out.size() != to.size) return Error{EINVAL, "xstate: the output is not of the target's size"};
  uint64_t bv = load<uint64_t>(area, kBvOffset);
  uint64_t lost = live_components(from, area) & ~to.xcr0;
  if ((lost & xstate_bit(kXstatePkru)) != 0 && pkru_allows_key0(from, area))
    lost &= ~xstate_bit(kXstatePkru);
  if (lost != 0) return Error{ENOTSUP, component_names(lost) + " state is live"};
  for (int i = 2; i < kXstateComponents; ++i) {
    bool both = (bv & to.xcr0 & xstate_bit(i)) != 0;
    if (both && from.comp[i].size != to.comp[i].size)
      return bad("component " + std::to_string(i) + ": sizes differ");
  }
  uint32_t mxcsr = OM_TRY(convert_mxcsr(from, area, to));

  std::fill(out.begin(), out.end(), std::byte{0});
  bv &= to.xcr0;
  convert_legacy(area, bv, out);
  store(out, kMxcsrOffset, mxcsr);
  store(out, kMxcsrMaskOffset, to.mxcsr_mask);
  // XSAVE may leave the SSE bit clear with a changed MXCSR; ptrace would then ignore the value.
  if (mxcsr != kMxcsrInitial) bv |= xstate_bit(kXstateSse);
  for_each_extended(to, bv, [&](int i, const XstateLayout::Component& c) {
    copy(area, from.comp[i].offset, out, c.offset, c.size);
  });
  uint64_t had_keys = from.xcr0 & xstate_bit(kXstatePkru);
  if (had_keys == 0 && (to.xcr0 & xstate_bit(kXstatePkru)) != 0) {
    store(out, to.comp[kXstatePkru].offset, kPkruDefault);
    bv |= xstate_bit(kXstatePkru);
  }
  store(out, kBvOffset, bv);
  return {};
}

}  // namespace om
