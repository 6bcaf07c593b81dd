// SPDX-License-Identifier: Apache-2.0
//
// Common to all fuzz targets. A target defines LLVMFuzzerTestOneInput(): it passes foreign bytes to a decoder and ends
// the process with require() if the result breaks one of the decoder's guarantees; the sanitizers catch the rest. An
// Error is a valid result. With OM_LIBFUZZER the target is a libFuzzer program, without it runner.cc runs the files of
// a corpus.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string_view>

// No byte after `data` may be read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace om::fuzz {

inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes bytes from the front for the numbers that a target needs; zeros when none are left.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  template <class T>
  T take() {
    T value = 0;
    for (size_t i = 0; i < sizeof(T) && size_ > 0; ++i, ++data_, --size_) {
      value = static_cast<T>(value | static_cast<T>(static_cast<uint64_t>(*data_) << (8 * i)));
    }
    return value;
  }
  const uint8_t* rest() const { return data_; }
  size_t rest_size() const { return size_; }
  std::string_view rest_text() const { return text_of(data_, size_); }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace om::fuzz
