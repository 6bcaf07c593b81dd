// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/node_record.h"

#include <algorithm>

#include "common/base/assert.h"
#include "common/base/names.h"

namespace om::members {
namespace {

constexpr std::array<uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool HostAddress::is_v4() const {
  return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes.begin());
}

HostAddress v4_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
}

Result<void> check_record(const NodeRecord& record) {
  if (!valid_node_name(record.name)) return plain_error("a node record without a valid name");
  if (record.addresses.empty() || record.addresses.size() > kMaxAddresses)
    return plain_error("a node record without addresses or with too many");
  if (record.port == 0) return plain_error("a node record without a port");
  return {};
}

const NodeRecord* RecordPool::take(const NodeRecord& record) {
  const auto [at, added] = users_.try_emplace(record, 0);
  ++at->second;
  return &at->first;
}

void RecordPool::drop(const NodeRecord* record) {
  const auto at = users_.find(*record);
  OM_ASSERT(at != users_.end());
  if (--at->second == 0) users_.erase(at);
}

}  // namespace om::members
