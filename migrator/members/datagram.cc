// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/datagram.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/bytes.h"
#include "common/base/names.h"

namespace om::members {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kIncarnationBytes = 6;

// name length 1 | name | addresses 1 | (length 4 or 16 | address) ... | port 2 | major 2 | minor 2 | features 8 |
// stated 6 | number 4
std::string encode_record(const NodeRecord& record) {
  std::string bytes;
  put_number(bytes, record.name.size(), 1);
  bytes += record.name;
  put_number(bytes, record.addresses.size(), 1);
  for (const HostAddress& address : record.addresses) {
    const size_t skipped = address.is_v4() ? 12 : 0;
    put_number(bytes, address.bytes.size() - skipped, 1);
    bytes.append(address.bytes.begin() + skipped, address.bytes.end());
  }
  put_number(bytes, record.port, 2);
  put_number(bytes, record.major, 2);
  put_number(bytes, record.minor, 2);
  put_number(bytes, record.features, 8);
  put_number(bytes, record.stated, kIncarnationBytes);
  put_number(bytes, record.number, 4);
  return bytes;
}

Result<NodeRecord> decode_record(NodeId id, std::string_view bytes) {
  ByteReader in(bytes);
  NodeRecord record;
  record.id = id;
  record.name = in.short_text();
  const auto addresses = in.number<uint8_t>();
  if (addresses > kMaxAddresses) return plain_error("a node record with too many addresses");
  for (size_t i = 0; i < addresses; ++i) {
    const auto size = in.number<uint8_t>();
    if (size != 4 && size != 16) return plain_error("a node record with an address of odd length");
    const std::string_view raw = in.take(size);
    HostAddress address = v4_address(0, 0, 0, 0);
    if (!raw.empty()) memcpy(address.bytes.data() + address.bytes.size() - size, raw.data(), size);
    record.addresses.push_back(address);
  }
  record.port = in.number<uint16_t>();
  record.major = in.number<uint16_t>();
  record.minor = in.number<uint16_t>();
  record.features = in.number<uint64_t>();
  record.stated = in.number(kIncarnationBytes);
  record.number = in.number<uint32_t>();
  if (!in.good()) return plain_error("a node record that is cut off");
  OM_TRY(check_record(record));
  return record;
}

Result<Rumour> decode_rumour(ByteReader& in) {
  Rumour rumour;
  rumour.kind = in.number<uint8_t>();
  const auto size = in.number<uint16_t>();
  rumour.node = NodeId{in.number<uint64_t>()};
  rumour.incarnation = in.number(kIncarnationBytes);
  if (size > kMaxRumourBody) return plain_error("a rumour that is too long");
  rumour.body = in.take(size);
  if (!in.good()) return plain_error("a rumour that is cut off");
  if (rumour.kind == kJoined) {
    rumour.record = OM_TRY(decode_record(rumour.node, rumour.body));
    if (rumour.record->stated > rumour.incarnation)
      return plain_error("a node record from the future");
  }
  return rumour;
}

}  // namespace

Rumour joined(const NodeRecord& record, uint64_t incarnation) {
  return {kJoined, record.id, incarnation, record, encode_record(record)};
}

std::string encode_header(const Datagram& datagram) {
  std::string bytes;
  bytes.reserve(kDatagramHeaderBytes);
  put_number(bytes, kVersion, 1);
  put_number(bytes, static_cast<uint8_t>(datagram.kind), 1);
  put_number(bytes, datagram.sequence, 4);
  put_number(bytes, datagram.incarnation, kIncarnationBytes);
  put_number(bytes, static_cast<uint64_t>(datagram.target), 8);
  return bytes;
}

void append_rumour(std::string& bytes, const Rumour& rumour) {
  OM_ASSERT(rumour.body.size() <= kMaxRumourBody);
  put_number(bytes, rumour.kind, 1);
  put_number(bytes, rumour.body.size(), 2);
  put_number(bytes, static_cast<uint64_t>(rumour.node), 8);
  put_number(bytes, rumour.incarnation, kIncarnationBytes);
  bytes += rumour.body;
}

Result<Datagram> decode_datagram(std::string_view bytes) {
  if (bytes.size() > kMaxDatagramBytes) return plain_error("a datagram that is too long");
  ByteReader in(bytes);
  Datagram datagram;
  if (in.number<uint8_t>() != kVersion) return plain_error("a datagram of another version");
  const auto kind = in.number<uint8_t>();
  if (kind < static_cast<uint8_t>(DatagramKind::kPing) ||
      kind > static_cast<uint8_t>(DatagramKind::kGossip))
    return plain_error("a datagram of an unknown kind");
  datagram.kind = DatagramKind{kind};
  datagram.sequence = in.number<uint32_t>();
  datagram.incarnation = in.number(kIncarnationBytes);
  datagram.target = NodeId{in.number<uint64_t>()};
  if (!in.good()) return plain_error("a datagram that is cut off");
  while (!in.at_end()) datagram.rumours.push_back(OM_TRY(decode_rumour(in)));
  return datagram;
}

Result<std::vector<Rumour>> decode_rumours(std::string_view bytes, size_t most) {
  if (bytes.size() > most) return plain_error("rumours that are too long");
  ByteReader in(bytes);
  std::vector<Rumour> rumours;
  while (!in.at_end()) rumours.push_back(OM_TRY(decode_rumour(in)));
  return rumours;
}

}  // namespace om::members
