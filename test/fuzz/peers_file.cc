// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the peers file and the list of peers in a request (migrator/peers/peers_file.h).
#include "migrator/peers/peers_file.h"

#include <nlohmann/json.hpp>

#include "common/base/names.h"
#include "test/fuzz/fuzz.h"

namespace {

using om::fuzz::require;

void check(const om::Result<std::vector<om::migrator::Peer>>& peers) {
  if (!peers) return;
  require(peers->size() <= om::migrator::kMaxPeers);
  for (const om::migrator::Peer& peer : *peers) {
    require(om::valid_node_name(peer.name) && peer.name != "n1");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = om::fuzz::text_of(data, size);
  check(om::migrator::parse_peers(text, "n1"));
  const om::Json list = om::Json::parse(text, nullptr, false);
  if (!list.is_discarded()) check(om::migrator::peers_from_json(list, "n1"));
  return 0;
}
