// SPDX-License-Identifier: Apache-2.0
//
// Base64 of RFC 4648, with padding: how bytes stand in the JSON of others.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace om {

std::string to_base64(std::string_view bytes);
// nullopt for anything that to_base64() does not give.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace om
