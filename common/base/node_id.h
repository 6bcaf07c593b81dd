// SPDX-License-Identifier: Apache-2.0
//
// Who a node is: the first 8 bytes of the SHA-256 of its public key (common/tls/certificate.h makes it). As a number
// they are big endian, so that ids, their numbers and their texts have the same order.
#pragma once

#include <stdint.h>

#include <array>
#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/hex.h"

namespace om {

struct NodeId {
  std::array<uint8_t, 8> bytes{};

  constexpr NodeId() = default;
  explicit constexpr NodeId(uint64_t number) {
    for (size_t i = bytes.size(); i > 0; --i, number >>= 8)
      bytes[i - 1] = static_cast<uint8_t>(number);
  }
  explicit constexpr operator uint64_t() const {
    uint64_t number = 0;
    for (const uint8_t byte : bytes) number = number << 8 | byte;
    return number;
  }

  // 16 hexadecimal digits.
  std::string text() const {
    return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  // An Error for anything else.
  static Result<NodeId> parse(std::string_view text) {
    const std::string raw = OM_TRY(from_hex(text, sizeof bytes));
    NodeId id;
    for (size_t i = 0; i < raw.size(); ++i) id.bytes[i] = static_cast<uint8_t>(raw[i]);
    if (id.text() != text) return plain_error("a node id has lower case letters only");
    return id;
  }
  auto operator<=>(const NodeId&) const = default;
};

}  // namespace om

// Ids are hashes.
template <>
struct std::hash<om::NodeId> {
  size_t operator()(const om::NodeId& id) const noexcept { return static_cast<uint64_t>(id); }
};
