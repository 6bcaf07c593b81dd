// SPDX-License-Identifier: Apache-2.0
//
// Hexadecimal, lower case: how keys, tokens and random names are written as text.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

std::string to_hex(std::string_view bytes);
// Exactly `expected_bytes` bytes; an Error for anything else.
Result<std::string> from_hex(std::string_view text, size_t expected_bytes);

// Eight digits that tell texts apart in names: FNV-1a, of 32 bits. Whoever wants two texts with the same finds them.
std::string short_hash(std::string_view text);

}  // namespace om
