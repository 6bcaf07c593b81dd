// SPDX-License-Identifier: Apache-2.0
//
// HKDF-SHA256 (RFC 5869) by OpenSSL: how a key for one purpose is made from a secret.
#pragma once

#include <stdint.h>

#include <array>
#include <span>
#include <string_view>

#include "common/base/result.h"

namespace om {

using DerivedKey = std::array<uint8_t, 32>;

// With an empty salt; `info` names the purpose. Errors: OpenSSL has no memory.
Result<DerivedKey> hkdf_sha256(std::span<const uint8_t> secret, std::string_view info);

}  // namespace om
