// SPDX-License-Identifier: Apache-2.0
//
// SipHash-2-4: a keyed hash of 64 bits. Who does not know the key cannot tell the hash of a text, so that it serves as
// a proof among the programs of one machine, where every attempt costs a connection.
#pragma once

#include <stdint.h>

#include <array>
#include <string_view>

namespace om {

using SipKey = std::array<uint8_t, 16>;

uint64_t siphash24(const SipKey& key, std::string_view text);

}  // namespace om
