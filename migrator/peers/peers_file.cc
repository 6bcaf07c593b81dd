// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/peers_file.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/own_directory.h"
#include "common/base/text.h"

namespace om::migrator {
namespace {

// Adds one peer, or returns what is wrong with it.
Result<void> add_peer(std::vector<Peer>& peers, std::string_view name,
                      std::string_view address_text, std::string_view own_name, LookUp look_up) {
  if (!valid_node_name(name))
    return plain_error(fmt::format("{} is no node name", escaped(name, 80)));
  if (name == own_name && Address::could_be(address_text)) return {};
  Address address = OM_TRY(look_up(address_text, 0));
  if (address.port() == 0)
    return plain_error(fmt::format("{} has no port", escaped(address_text, 80)));
  if (address.is_any())
    return plain_error(fmt::format("{} is nobody's address", escaped(address_text, 80)));
  if (peers.size() == kMaxPeers) return plain_error(fmt::format("more than {} peers", kMaxPeers));
  for (const Peer& other : peers) {
    if (other.name == name) return plain_error(fmt::format("{} is named twice", name));
  }
  peers.push_back(Peer{std::string(name), address});
  return {};
}

}  // namespace

Result<std::vector<Peer>> parse_peers(std::string_view text, std::string_view own_name,
                                      LookUp look_up) {
  std::vector<Peer> peers;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = take_line(text);
    std::string_view rest = line.substr(0, line.find('#'));
    std::string_view name = take_field(rest);
    std::string_view address = take_field(rest);
    if (name.empty()) continue;
    if (address.empty() || !trim(rest).empty()) {
      return plain_error(fmt::format("line {}: expected NAME ADDRESS:PORT", number));
    }
    auto added = add_peer(peers, name, address, own_name, look_up);
    if (!added) return plain_error(fmt::format("line {}: {}", number, added.error().text()));
  }
  return peers;
}

Result<std::vector<Peer>> read_peers_file(const std::string& path, std::string_view own_name) {
  std::string text = OM_TRY(read_own_file(path));
  auto peers = parse_peers(text, own_name, Address::look_up);
  if (!peers) return plain_error(path + ": " + peers.error().text());
  return peers;
}

Result<std::vector<Peer>> peers_from_json(const Json& list, std::string_view own_name) {
  if (!list.is_array()) return plain_error("\"peers\" must be a list");
  std::vector<Peer> peers;
  for (const Json& item : list) {
    std::string name = OM_TRY(json_string(item, "name", kMaxNodeName));
    std::string address = OM_TRY(json_string(item, "address", 80));
    OM_TRY(add_peer(peers, name, address, own_name, Address::parse));
  }
  return peers;
}

}  // namespace om::migrator
