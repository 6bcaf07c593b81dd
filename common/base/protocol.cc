// SPDX-License-Identifier: Apache-2.0
//
// The version that this node's daemon speaks. Nothing else is here: test/cluster/other_protocol.cc takes its place in a
// daemon of another version.
#include "common/base/version.h"

namespace om {

extern const uint32_t kProtocolMajor = 5;
extern const uint32_t kProtocolMinor = 1;
extern const uint32_t kProtocol = 5 << 16 | 1;

}  // namespace om
