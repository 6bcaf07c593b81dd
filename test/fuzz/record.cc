// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: records (common/tls/record.h). The first byte chooses the cipher, the next three where a genuine record
// is changed. The rest is taken as a record, which opens only if sealing its contents gives the same bytes, and as the
// contents of a record, which opens unless it was changed.
#include "common/tls/record.h"

#include <algorithm>
#include <array>
#include <vector>

#include "test/fuzz/fuzz.h"

namespace {

using om::fuzz::require;

const std::array<uint8_t, om::kAeadKeyBytes> kKey{1, 2, 3};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::fuzz::Bytes input(data, size);
  const om::Cipher cipher =
      (input.take<uint8_t>() & 1) != 0 ? om::Cipher::kAes256Gcm : om::Cipher::kChaCha20Poly1305;
  const auto at = input.take<uint16_t>();
  const auto mask = input.take<uint8_t>();
  const std::span<const uint8_t> given(input.rest(), input.rest_size());

  auto opener = om::RecordOpener::make(cipher, kKey);
  auto sealer = om::RecordSealer::make(cipher, kKey);
  require(opener.ok() && sealer.ok());
  std::vector<uint8_t> contents(given.size());
  if (auto opened = opener->open(given, contents)) {
    std::vector<uint8_t> again(given.size());
    require(sealer->seal({contents.data(), *opened}, again).ok());
    require(std::equal(again.begin(), again.end(), given.begin(), given.end()));
  }

  if (given.size() > om::kMaxRecordContents) return 0;
  auto second = om::RecordOpener::make(cipher, kKey, 7);
  auto genuine = om::RecordSealer::make(cipher, kKey, 7);
  require(second.ok() && genuine.ok());
  std::vector<uint8_t> record(given.size() + om::kRecordOverhead);
  require(genuine->seal(given, record).ok());
  const size_t place = at % record.size();
  record[place] = static_cast<uint8_t>(record[place] ^ mask);
  const auto opened = second->open(record, contents);
  require(opened.ok() == (mask == 0));
  require(!opened || std::equal(contents.begin(), contents.end(), given.begin(), given.end()));
  return 0;
}
