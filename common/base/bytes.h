// SPDX-License-Identifier: Apache-2.0
//
// Texts made of bytes, as datagrams and what is signed or derived from: numbers are little endian and as long as the
// format says.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace om {

// The lowest `count` bytes of the value; count is at most 8.
inline void put_number(std::string& bytes, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

// As many bytes as T has.
template <class T>
void put_number(std::string& bytes, T value) {
  put_number(bytes, value, sizeof value);
}

template <size_t N>
void put_bytes(std::string& out, const std::array<uint8_t, N>& bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Takes from the front; after the first take() beyond the end nothing is good(), and all that is taken is empty or 0.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  bool good() const { return good_; }
  bool at_end() const { return left_.empty(); }
  std::string_view rest() const { return left_; }

  std::string_view take(size_t count) {
    if (count > left_.size()) {
      good_ = false;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }

  template <class T = uint64_t>
  T number(size_t count = sizeof(T)) {
    uint64_t value = 0;
    const std::string_view taken = take(count);
    for (size_t i = taken.size(); i > 0; --i)
      value = value << 8 | static_cast<uint8_t>(taken[i - 1]);
    return static_cast<T>(value);
  }

  template <size_t N>
  std::array<uint8_t, N> bytes() {
    std::array<uint8_t, N> value{};
    const std::string_view taken = take(N);
    std::copy(taken.begin(), taken.end(), value.begin());
    return value;
  }

  // A length of one byte, and so many bytes.
  std::string_view short_text() { return take(number<uint8_t>()); }

 private:
  std::string_view left_;
  bool good_ = true;
};

}  // namespace om
