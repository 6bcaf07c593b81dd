// SPDX-License-Identifier: Apache-2.0
//
// What the members of a cluster know of each other: NodeRecord, which a node states about itself and others pass on
// unchanged. RecordPool keeps each distinct record once, so that an entry of a member table is a pointer.
#pragma once

#include <stdint.h>

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/node_id.h"
#include "common/base/result.h"

namespace om::members {

// In the form of IPv6; an IPv4 address is ::ffff:a.b.c.d.
struct HostAddress {
  std::array<uint8_t, 16> bytes{};

  bool is_v4() const;
  bool operator==(const HostAddress&) const = default;
};

HostAddress v4_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d);

constexpr size_t kMaxAddresses = 4;

struct NodeRecord {
  NodeId id{};
  std::string name;                    // as valid_node_name() wants it
  uint32_t number = 0;                 // the small one that the signer gave it; 0: none
  std::vector<HostAddress> addresses;  // 1 to kMaxAddresses, the preferred one first
  uint16_t port = 0;                   // TCP and UDP, not 0
  uint16_t major = 0;                  // protocol version
  uint16_t minor = 0;
  uint64_t features = 0;  // one bit each; unknown ones are kept
  uint64_t stated = 0;    // the node's incarnation when it stated this; the later record counts

  bool operator==(const NodeRecord&) const = default;
};

// An Error if a field is out of its range.
Result<void> check_record(const NodeRecord& record);

// The records of one process, each once, with a count of their users. The tables that use a pool end before it.
class RecordPool {
 public:
  RecordPool() = default;
  RecordPool(const RecordPool&) = delete;
  RecordPool& operator=(const RecordPool&) = delete;

  // A record equal to `record`, valid until drop().
  const NodeRecord* take(const NodeRecord& record);
  // Each take() is dropped once.
  void drop(const NodeRecord* record);
  size_t size() const { return users_.size(); }

 private:
  struct ById {
    size_t operator()(const NodeRecord& record) const { return std::hash<NodeId>()(record.id); }
  };

  std::unordered_map<NodeRecord, uint32_t, ById> users_;
};

}  // namespace om::members
