// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/datagram.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/names.h"

namespace om::members {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kIncarnationBytes = 6;

void put(std::string& bytes, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

// Takes from the front; after the first take() beyond the end nothing is good().
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  bool good() const { return good_; }
  bool at_end() const { return left_.empty(); }

  std::string_view take(size_t count) {
    if (count > left_.size()) {
      good_ = false;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }

  template <class T = uint64_t>
  T number(size_t count = sizeof(T)) {
    uint64_t value = 0;
    const std::string_view taken = take(count);
    for (size_t i = taken.size(); i > 0; --i)
      value = value << 8 | static_cast<uint8_t>(taken[i - 1]);
    return static_cast<T>(value);
  }

 private:
  std::string_view left_;
  bool good_ = true;
};

// name length 1 | name | addresses 1 | (length 4 or 16 | address) ... | port 2 | major 2 | minor 2 | features 8 |
// stated 6 | number 4
std::string encode_record(const NodeRecord& record) {
  std::string bytes;
  put(bytes, record.name.size(), 1);
  bytes += record.name;
  put(bytes, record.addresses.size(), 1);
  for (const HostAddress& address : record.addresses) {
    const size_t skipped = address.is_v4() ? 12 : 0;
    put(bytes, address.bytes.size() - skipped, 1);
    bytes.append(address.bytes.begin() + skipped, address.bytes.end());
  }
  put(bytes, record.port, 2);
  put(bytes, record.major, 2);
  put(bytes, record.minor, 2);
  put(bytes, record.features, 8);
  put(bytes, record.stated, kIncarnationBytes);
  put(bytes, record.number, 4);
  return bytes;
}

Result<NodeRecord> decode_record(NodeId id, std::string_view bytes) {
  Reader in(bytes);
  NodeRecord record;
  record.id = id;
  record.name = in.take(in.number<uint8_t>());
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

Result<Rumour> decode_rumour(Reader& in) {
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
  put(bytes, kVersion, 1);
  put(bytes, static_cast<uint8_t>(datagram.kind), 1);
  put(bytes, datagram.sequence, 4);
  put(bytes, datagram.incarnation, kIncarnationBytes);
  put(bytes, static_cast<uint64_t>(datagram.target), 8);
  return bytes;
}

void append_rumour(std::string& bytes, const Rumour& rumour) {
  OM_ASSERT(rumour.body.size() <= kMaxRumourBody);
  put(bytes, rumour.kind, 1);
  put(bytes, rumour.body.size(), 2);
  put(bytes, static_cast<uint64_t>(rumour.node), 8);
  put(bytes, rumour.incarnation, kIncarnationBytes);
  bytes += rumour.body;
}

Result<Datagram> decode_datagram(std::string_view bytes) {
  if (bytes.size() > kMaxDatagramBytes) return plain_error("a datagram that is too long");
  Reader in(bytes);
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
  Reader in(bytes);
  std::vector<Rumour> rumours;
  while (!in.at_end()) rumours.push_back(OM_TRY(decode_rumour(in)));
  return rumours;
}

}  // namespace om::members
