// SPDX-License-Identifier: Apache-2.0
//
// XSAVE areas (standard format, as NT_X86_XSTATE and signal frames have them) between machines that lay them out
// differently. AMD and Intel put the same component at different offsets, and the kernel silently drops YMM and ZMM
// from a frame larger than the CPU's own. So an area is never copied whole, but component by component into the layout
// of the machine that will load it. Used by the deputy and the keeper; layouts and areas from the other side are
// untrusted and checked before use.
//
//   [0, 512)    legacy: x87, MXCSR, XMM        (components 0 and 1)
//   [512, 576)  header: XSTATE_BV, XCOMP_BV, zeros
//   [576, size) components 2 and up, at the offsets of CPUID leaf 0xD
#pragma once

#include <stdint.h>

#include <cstddef>
#include <span>
#include <string>

#include "common/base/result.h"

namespace om {

constexpr uint32_t kXsaveLegacyBytes = 512;
constexpr uint32_t kXsaveHeaderBytes = 64;
constexpr uint32_t kXsaveMinBytes = kXsaveLegacyBytes + kXsaveHeaderBytes;
constexpr uint32_t kXsaveMaxBytes = 64 << 10;  // with AMX 11 KiB
constexpr int kXstateComponents = 64;

// The component numbers that the code uses.
enum XstateComponent : int {
  kXstateX87 = 0,
  kXstateSse = 1,
  kXstateAvx = 2,
  kXstateBndregs = 3,
  kXstateBndcsr = 4,
  kXstateOpmask = 5,
  kXstateZmmHi256 = 6,
  kXstateHi16Zmm = 7,
  kXstatePkru = 9,
  kXstateTileConfig = 17,
  kXstateTileData = 18,
  kXstateApx = 19,
};

constexpr uint64_t xstate_bit(int component) { return uint64_t{1} << component; }

struct XstateLayout {
  uint32_t size = 0;        // bytes of the area with all components of xcr0
  uint32_t mxcsr_mask = 0;  // bits of MXCSR that this CPU accepts
  uint64_t xcr0 = 0;        // user components; bits 0 and 1 always
  struct Component {
    uint32_t offset = 0, size = 0;  // bytes from the start of the area; 0, 0 for components 0 and 1
  } comp[kXstateComponents];
};

// The layout of this CPU and kernel (CPUID 0xD, XGETBV). Includes AMX if XCR0 has it, although a process needs
// permission to use it. ENOTSUP without XSAVE.
Result<XstateLayout> local_layout();

// The same layout with only the components of `mask` (and x87 and SSE), for example without AMX.
XstateLayout restrict_layout(const XstateLayout& layout, uint64_t mask);

// Checks a layout from a peer: sizes, offsets, overlaps, alignment (8), component numbers. EBADMSG.
Result<void> validate(const XstateLayout& layout);

// Checks an area from a peer against a valid layout: long enough for its live components, standard format, no component
// that the layout lacks, reserved header bytes zero. The area may be shorter or longer than layout.size (the kernel
// leaves AMX out until a process asks for it). EBADMSG.
Result<void> validate(const XstateLayout& layout, std::span<const std::byte> area);

// Components whose XSTATE_BV bit is set and whose bytes are not all zero (their initial state): cleared vector
// registers must not tie a thread to a CPU. Preconditions: validate(layout, area).
uint64_t live_components(const XstateLayout& layout, std::span<const std::byte> area);

// "AVX-512, AMX": for messages.
std::string component_names(uint64_t components);

// Rewrites `area` for the machine of `to`. Fills `out` completely; it must have to.size bytes (EINVAL). EBADMSG as for
// validate(), for both layouts and the area. ENOTSUP if the thread uses what the target lacks: a live component
// ("AVX-512 state is live") or a mode of MXCSR (DAZ, AMD's misaligned mode). Masks other MXCSR bits that would fault on
// the target. Protection keys are special, because the kernel keeps PKRU non-zero in every process: a PKRU that does
// not restrict key 0 is dropped if the target has no keys (the caller has refused processes that use other keys,
// PKEYS), and becomes the kernel's default if the source had none. The 48 bytes at 464 that software may use come out
// as zeros.
Result<void> convert(const XstateLayout& from, std::span<const std::byte> area,
                     const XstateLayout& to, std::span<std::byte> out);

}  // namespace om
