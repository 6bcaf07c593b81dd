// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/discovery_datagram.h"

#include <string.h>

#include <algorithm>

#include "common/base/assert.h"
#include "common/base/names.h"

namespace om::members {
namespace {

constexpr std::string_view kMagic = "omd";
constexpr uint8_t kVersion = 1;

void put(std::string& bytes, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

void put_name(std::string& bytes, const std::string& name) {
  put(bytes, name.size(), 1);
  bytes += name;
}

template <size_t N>
void put_bytes(std::string& out, const std::array<uint8_t, N>& bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Takes from the front of a datagram whose length was checked; only names may lead beyond its end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  bool good() const { return good_; }

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
  template <class T>
  T number() {
    T value = 0;
    const std::string_view taken = take(sizeof(T));
    for (size_t i = taken.size(); i > 0; --i)
      value = static_cast<T>(value << 8 | static_cast<uint8_t>(taken[i - 1]));
    return value;
  }
  template <size_t N>
  std::array<uint8_t, N> bytes() {
    std::array<uint8_t, N> value{};
    const std::string_view taken = take(N);
    if (taken.size() == N) ::memcpy(value.data(), taken.data(), N);
    return value;
  }
  std::string name() { return std::string(take(number<uint8_t>())); }

 private:
  std::string_view left_;
  bool good_ = true;
};

}  // namespace

std::string encode_discovery(const DiscoveryDatagram& datagram) {
  std::string bytes(kMagic);
  put(bytes, kVersion, 1);
  put(bytes, static_cast<uint8_t>(datagram.kind), 1);
  put(bytes, datagram.major, 2);
  put(bytes, datagram.minor, 2);
  put(bytes, datagram.port, 2);
  put_bytes(bytes, datagram.cluster);
  put_bytes(bytes, datagram.node.bytes);
  put_name(bytes, datagram.name);
  put_name(bytes, datagram.cluster_name);
  put(bytes, datagram.addresses.size(), 1);
  for (const HostAddress& address : datagram.addresses) put_bytes(bytes, address.bytes);
  OM_ASSERT(bytes.size() <= kDiscoveryBytes);
  bytes.resize(kDiscoveryBytes);
  return bytes;
}

bool is_discovery(std::string_view bytes) { return bytes.starts_with(kMagic); }

Result<DiscoveryDatagram> decode_discovery(std::string_view bytes) {
  if (bytes.size() != kDiscoveryBytes || !is_discovery(bytes))
    return plain_error("no datagram of discovery");
  Reader in(bytes.substr(kMagic.size()));
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
  datagram.name = in.name();
  datagram.cluster_name = in.name();
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
