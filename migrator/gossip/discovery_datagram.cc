// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/discovery_datagram.h"

#include "common/base/assert.h"
#include "common/base/bytes.h"
#include "common/base/names.h"

namespace om::members {
namespace {

constexpr std::string_view kMagic = "omd";
constexpr uint8_t kVersion = 1;

void put_name(std::string& bytes, const std::string& name) {
  put_number(bytes, name.size(), 1);
  bytes += name;
}

}  // namespace

std::string encode_discovery(const DiscoveryDatagram& datagram) {
  std::string bytes(kMagic);
  put_number(bytes, kVersion, 1);
  put_number(bytes, static_cast<uint8_t>(datagram.kind), 1);
  put_number(bytes, datagram.major, 2);
  put_number(bytes, datagram.minor, 2);
  put_number(bytes, datagram.port, 2);
  put_bytes(bytes, datagram.cluster);
  put_bytes(bytes, datagram.node.bytes);
  put_name(bytes, datagram.name);
  put_name(bytes, datagram.cluster_name);
  put_number(bytes, datagram.addresses.size(), 1);
  for (const HostAddress& address : datagram.addresses) put_bytes(bytes, address.bytes);
  OM_ASSERT(bytes.size() <= kDiscoveryBytes);
  bytes.resize(kDiscoveryBytes);
  return bytes;
}

bool is_discovery(std::string_view bytes) { return bytes.starts_with(kMagic); }

Result<DiscoveryDatagram> decode_discovery(std::string_view bytes) {
  if (bytes.size() != kDiscoveryBytes || !is_discovery(bytes))
    return plain_error("no datagram of discovery");
  ByteReader in(bytes.substr(kMagic.size()));
  if (in.number<uint8_t>() != kVersion)
    return plain_error("a datagram of discovery of another version");
  DiscoveryDatagram datagram;
  const auto kind = in.number<uint8_t>();
  if (kind != static_cast<uint8_t>(DiscoveryKind::kAsk) &&
      kind != static_cast<uint8_t>(DiscoveryKind::kAnnounce))
    return plain_error("a datagram of discovery of an unknown kind");
  datagram.kind = DiscoveryKind{kind};
  datagram.major = in.number<uint16_t>();
  datagram.minor = in.number<uint16_t>();
  datagram.port = in.number<uint16_t>();
  datagram.cluster = in.bytes<32>();
  datagram.node.bytes = in.bytes<8>();
  datagram.name = in.short_text();
  datagram.cluster_name = in.short_text();
  const auto addresses = in.number<uint8_t>();
  if (addresses > kMaxAddresses)
    return plain_error("a datagram of discovery with too many addresses");
  for (size_t i = 0; i < addresses; ++i) datagram.addresses.push_back({in.bytes<16>()});
  if (!in.good()) return plain_error("a datagram of discovery that is cut off");
  if (datagram.port == 0 || !valid_node_name(datagram.name) ||
      !valid_node_name(datagram.cluster_name))
    return plain_error("a datagram of discovery without a port or a name");
  return datagram;
}

}  // namespace om::members
