// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what nodes ask and announce (migrator/gossip/discovery_datagram.h). What is accepted is within its
// ranges and means the same when it is encoded again.
#include "migrator/gossip/discovery_datagram.h"

#include "common/base/names.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace om::members;
  using om::fuzz::require;
  std::string bytes(om::fuzz::text_of(data, size));
  for (const bool padded : {false, true}) {
    if (padded) bytes.resize(kDiscoveryBytes);
    const auto datagram = decode_discovery(bytes);
    if (!datagram) continue;
    require(om::valid_node_name(datagram->name) && om::valid_node_name(datagram->cluster_name));
    require(datagram->addresses.size() <= kMaxAddresses && datagram->port != 0);
    const std::string again = encode_discovery(*datagram);
    require(again.size() == kDiscoveryBytes);
    const auto same = decode_discovery(again);
    require(same.ok() && *same == *datagram);
  }
  return 0;
}
