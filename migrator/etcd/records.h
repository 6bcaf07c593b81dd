// SPDX-License-Identifier: Apache-2.0
//
// What a cluster keeps in etcd: under which keys, and what their values are. Pure. Below /openmosix/CLUSTER, where
// CLUSTER is the cluster's id in hexadecimal:
//
//   /nodes/NODE    what the node NODE says of itself, in JSON, under its lease
//   /denied/NODE   the signed entry that NODE was removed, in base64 (migrator/identity/deny.h)
//   /tokens/TOKEN  a token, sealed for signers (migrator/identity/token_seal.h)
//   /group_key     the number of the newest group key, a check value, and who has it; not the key
//
// Whoever may write there can say anything of nodes, so it counts as rumours do: certificates are asked for.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/base/node_id.h"
#include "common/base/result.h"
#include "migrator/members/node_record.h"

namespace om::etcd {

// Ends with '/'. `cluster_id`: bytes.
std::string prefix_of(std::string_view cluster_id);

enum class KeyKind : uint8_t { kNode, kDenied, kToken, kGroupKey, kOther };
struct ParsedKey {
  KeyKind kind = KeyKind::kOther;
  NodeId node{};      // of the first two
  std::string token;  // as Token::id_text()
};
// Anything is read; what is none of ours is kOther.
ParsedKey parse_key(std::string_view prefix, std::string_view key);
std::string node_key(std::string_view prefix, NodeId node);
std::string denied_key(std::string_view prefix, NodeId node);
std::string token_key(std::string_view prefix, std::string_view token);
std::string group_key_key(std::string_view prefix);

struct NodeState {
  members::NodeRecord record;
  bool left = false;  // has said goodbye
};
std::string to_value(const NodeState& node);
// EBADMSG: anything that to_value() does not give, or a record out of its ranges.
Result<NodeState> parse_node(std::string_view value);

// Which group key is the newest.
struct KeyStatement {
  uint32_t number = 0;
  std::string check;   // tells keys of one number apart, bytes
  std::string holder;  // name of a node that has it
  bool operator==(const KeyStatement&) const = default;
};
constexpr size_t kKeyCheckBytes = 8;
std::string to_value(const KeyStatement& statement);
Result<KeyStatement> parse_key_statement(std::string_view value);

}  // namespace om::etcd
