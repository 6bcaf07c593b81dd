// SPDX-License-Identifier: Apache-2.0
#include "common/base/hex.h"

#include <fmt/format.h>

#include "common/base/log.h"

namespace om {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

Result<std::string> from_hex(std::string_view text, size_t expected_bytes) {
  std::string bytes;
  if (text.size() == expected_bytes * 2) {
    for (size_t i = 0; i < text.size(); i += 2) {
      int high = hex_digit(text[i]);
      int low = hex_digit(text[i + 1]);
      if (high < 0 || low < 0) break;
      bytes += static_cast<char>(high << 4 | low);
    }
  }
  if (bytes.size() != expected_bytes) {
    return plain_error(
        fmt::format("not {} hexadecimal digits: {}", expected_bytes * 2, escaped(text, 80)));
  }
  return bytes;
}

std::string short_hash(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return fmt::format("{:08x}", hash);
}

}  // namespace om
