// SPDX-License-Identifier: Apache-2.0
#include "migrator/etcd/records.h"

#include <arpa/inet.h>
#include <errno.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/names.h"
#include "common/net/json_line.h"

namespace om::etcd {
namespace {

constexpr std::string_view kNodes = "nodes/", kDenied = "denied/", kTokens = "tokens/",
                           kGroupKey = "group_key";
constexpr size_t kMaxTokenId = 32, kMaxAddress = 64, kMaxFeatures = 16;

Error bad(const char* what) { return Error{EBADMSG, std::string("etcd: ") + what}; }

std::string text_of(const members::HostAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

std::optional<members::HostAddress> parse_address(const std::string& text) {
  members::HostAddress address;
  if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

// Big endian, 8 bytes.
std::string hex_of(uint64_t number) { return NodeId(number).text(); }

}  // namespace

std::string prefix_of(std::string_view cluster_id) {
  return "/openmosix/" + to_hex(cluster_id) + "/";
}

ParsedKey parse_key(std::string_view prefix, std::string_view key) {
  ParsedKey parsed;
  if (!key.starts_with(prefix)) return parsed;
  key.remove_prefix(prefix.size());
  if (key == kGroupKey) {
    parsed.kind = KeyKind::kGroupKey;
  } else if (key.starts_with(kTokens)) {
    key.remove_prefix(kTokens.size());
    const auto digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (key.empty() || key.size() > kMaxTokenId || !std::all_of(key.begin(), key.end(), digit))
      return parsed;
    parsed.kind = KeyKind::kToken;
    parsed.token = key;
  } else if (const bool denied = key.starts_with(kDenied); denied || key.starts_with(kNodes)) {
    const auto node = NodeId::parse(key.substr(denied ? kDenied.size() : kNodes.size()));
    if (!node) return parsed;
    parsed.kind = denied ? KeyKind::kDenied : KeyKind::kNode;
    parsed.node = *node;
  }
  return parsed;
}

std::string node_key(std::string_view prefix, NodeId node) {
  return std::string(prefix).append(kNodes) + node.text();
}

std::string denied_key(std::string_view prefix, NodeId node) {
  return std::string(prefix).append(kDenied) + node.text();
}

std::string token_key(std::string_view prefix, std::string_view token) {
  return std::string(prefix).append(kTokens).append(token);
}

std::string group_key_key(std::string_view prefix) { return std::string(prefix).append(kGroupKey); }

std::string to_value(const NodeState& node) {
  const members::NodeRecord& record = node.record;
  Json addresses = Json::array();
  for (const auto& address : record.addresses) addresses.push_back(text_of(address));
  return to_json_text({{"id", record.id.text()},
                       {"name", record.name},
                       {"number", record.number},
                       {"addresses", std::move(addresses)},
                       {"port", record.port},
                       {"major", record.major},
                       {"minor", record.minor},
                       {"features", hex_of(record.features)},
                       {"incarnation", static_cast<int64_t>(record.stated)},
                       {"left", node.left}});
}

Result<NodeState> parse_node(std::string_view value) {
  constexpr int64_t kMost16 = std::numeric_limits<uint16_t>::max();
  const auto json = parse_json_line(value);
  if (!json) return bad("a node is no JSON object");
  NodeState node;
  members::NodeRecord& record = node.record;
  record.id = OM_TRY(NodeId::parse(OM_TRY(json_string(*json, "id", 16))));
  record.name = OM_TRY(json_string(*json, "name", kMaxNodeName));
  record.number = static_cast<uint32_t>(
      OM_TRY(json_int(*json, "number", 0, std::numeric_limits<uint32_t>::max())));
  for (const std::string& text :
       OM_TRY(json_strings(*json, "addresses", members::kMaxAddresses, kMaxAddress))) {
    const auto address = parse_address(text);
    if (!address) return bad("the address of a node");
    record.addresses.push_back(*address);
  }
  record.port = static_cast<uint16_t>(OM_TRY(json_int(*json, "port", 1, kMost16)));
  record.major = static_cast<uint16_t>(OM_TRY(json_int(*json, "major", 0, kMost16)));
  record.minor = static_cast<uint16_t>(OM_TRY(json_int(*json, "minor", 0, kMost16)));
  record.features = static_cast<uint64_t>(
      OM_TRY(NodeId::parse(OM_TRY(json_string(*json, "features", kMaxFeatures)))));
  record.stated = static_cast<uint64_t>(
      OM_TRY(json_int(*json, "incarnation", 0, std::numeric_limits<int64_t>::max())));
  node.left = OM_TRY(json_bool(*json, "left"));
  OM_TRY(members::check_record(record));
  return node;
}

std::string to_value(const KeyStatement& statement) {
  return to_json_text({{"number", statement.number},
                       {"check", to_hex(statement.check)},
                       {"holder", statement.holder}});
}

Result<KeyStatement> parse_key_statement(std::string_view value) {
  const auto json = parse_json_line(value);
  if (!json) return bad("the group key's number is no JSON object");
  KeyStatement statement;
  statement.number = static_cast<uint32_t>(
      OM_TRY(json_int(*json, "number", 0, std::numeric_limits<uint32_t>::max())));
  statement.check =
      OM_TRY(from_hex(OM_TRY(json_string(*json, "check", 2 * kKeyCheckBytes)), kKeyCheckBytes));
  statement.holder = OM_TRY(json_string(*json, "holder", kMaxNodeName));
  if (!valid_node_name(statement.holder)) return bad("the holder of the group key");
  return statement;
}

}  // namespace om::etcd
