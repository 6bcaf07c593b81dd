// SPDX-License-Identifier: Apache-2.0
//
// common/siphash.h against the test vectors of its authors: key 00..0f, texts 00, 00 01, 00 01 02, ...
#include "common/siphash.h"

#include <doctest/doctest.h>

#include <string>

namespace om {
namespace {

TEST_CASE("hashes are those of the authors") {
  SipKey key{};
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  std::string text;
  for (char i = 0; i < 15; ++i) text += i;
  CHECK(siphash24(key, text) == 0xa129ca6149be45e5);
  CHECK(siphash24(key, "") == 0x726fdb47dd0e0e31);
  CHECK(siphash24(key, std::string(1, '\0')) == 0x74f839c593dc67fd);
  CHECK(siphash24(key, text.substr(0, 8)) == 0x93f5f5799a932462);
}

TEST_CASE("another key, another hash") {
  SipKey key{};
  const uint64_t one = siphash24(key, "text");
  key[15] = 1;
  CHECK(one != siphash24(key, "text"));
}

}  // namespace
}  // namespace om
