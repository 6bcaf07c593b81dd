// SPDX-License-Identifier: Apache-2.0
//
// The version numbers by which two nodes, or two programs of one node, tell whether they are compatible. Checked in
// hello and admit (migrator/peers/admission.h); a mismatch is refused with the code VERSION.
#pragma once

#include <stdint.h>

#include "libom/abi/version.h"

namespace om {

// Between daemons: major * 65536 + minor. A different major is refused; a minor only adds.
// No constant expressions: a test has a daemon of another version (protocol.cc).
//   5.1  Member.drain, Member.undrain
extern const uint32_t kProtocolMajor;
extern const uint32_t kProtocolMinor;
extern const uint32_t kProtocol;
constexpr uint32_t protocol_major(uint32_t protocol) { return protocol >> 16; }

// Between the keeper and the gate inside libom.so, which travels with the body. A keeper serves its own number and the
// previous one.
constexpr bool keeper_serves_gate_abi(uint32_t gate) {
  return gate != 0 && gate <= kKeeperGateAbi && gate + 1 >= kKeeperGateAbi;
}

// Whether such a gate can run on CPUs whose numbers home does not have.
constexpr bool gate_takes_any_cpu(uint32_t gate) { return gate >= kAnyCpuAbi; }

// "0.1.0", as in meson.build.
const char* build_version();

}  // namespace om
