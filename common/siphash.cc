// SPDX-License-Identifier: Apache-2.0
#include "common/siphash.h"

#include <string.h>

#include <bit>

namespace om {
namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

// Little-endian, as the machines that this runs on.
uint64_t word_at(const void* from, size_t bytes) {
  uint64_t word = 0;
  ::memcpy(&word, from, bytes);
  return word;
}

}  // namespace

uint64_t siphash24(const SipKey& key, std::string_view text) {
  const uint64_t k0 = word_at(key.data(), 8);
  const uint64_t k1 = word_at(key.data() + 8, 8);
  State state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
              k1 ^ 0x7465646279746573};
  const uint64_t length = text.size();
  for (; text.size() >= 8; text.remove_prefix(8)) state.take(word_at(text.data(), 8));
  state.take(word_at(text.data(), text.size()) | length << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace om
