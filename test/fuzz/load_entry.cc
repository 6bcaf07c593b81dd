// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what members tell of their loads (balance/load_entry.h). What is accepted encodes to the same bytes, and
// a table takes a row of such datagrams, each after a byte for the time and two for the length, and stays within its
// bounds.
#include "balance/load_entry.h"

#include <algorithm>
#include <cmath>

#include "balance/load_table.h"
#include "test/fuzz/fuzz.h"

namespace {

using namespace om::balance;
using om::fuzz::require;

void check_codec(std::string_view bytes) {
  std::vector<LoadEntry> entries;
  if (!decode_load(bytes, entries)) {
    require(entries.empty());
    return;
  }
  require(!entries.empty() && entries.size() <= kMaxLoadEntries);
  for (const LoadEntry& entry : entries) {
    require(entry.machine.cores >= 1 && entry.machine.threads >= entry.machine.cores);
    require(entry.machine.speed > 0 && entry.k >= 0 && entry.free_bytes >= 0 && entry.age_s >= 0);
    require(std::isfinite(phi(entry.machine, entry.k)));
  }
  require(encode_load(entries) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_codec(om::fuzz::text_of(data, size));
  constexpr size_t kFew = 4;
  LoadTable table(om::NodeId{1}, 1, kFew);
  double now = 1000;
  om::fuzz::Bytes input(data, size);
  while (input.rest_size() > 0) {
    now += input.take<uint8_t>() / 10.0;
    const size_t wanted = input.take<uint16_t>() % 1024;
    const size_t length = std::min(wanted, input.rest_size());
    static_cast<void>(table.hear(now, input.rest_text().substr(0, length)));
    input = {input.rest() + length, input.rest_size() - length};
    require(table.known().size() <= kFew && table.find(om::NodeId{1}) == nullptr);
    for (const LoadTable::Known& known : table.known()) require(known.made_s <= now);
    std::vector<LoadEntry> entries;
    require(decode_load(table.tell(now), entries).ok() && entries.front().node == om::NodeId{1});
  }
  return 0;
}
