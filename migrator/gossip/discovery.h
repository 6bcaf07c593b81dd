// SPDX-License-Identifier: Apache-2.0
//
// Finds addresses at which nodes of the same cluster may listen, by any of
//
//   seeds       names or addresses that an administrator gave
//   multicast   a question to everybody on the same links, which members answer by announcing themselves
//   service     SRV records _openmosix._tcp of the domain
//   sweep       the same question to each address of given subnets, at a bounded rate
//
// What is found is only an address: on_found() connects by TLS, which shows who is there. A node that is alone looks
// every kAlone, another one every kTogether: parts of a cluster that started apart find each other, too. Announcements
// of other clusters are kept for show. Loop thread only.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/net/address.h"
#include "common/uv/loop.h"
#include "migrator/gossip/discovery_datagram.h"
#include "migrator/gossip/lookups.h"
#include "migrator/gossip/multicast.h"
#include "migrator/gossip/sightings.h"

namespace om::members {

constexpr uint16_t kDefaultPort = 4700;
constexpr uint16_t kMulticastPort = 4699;

struct DiscoverySettings {
  DiscoveryDatagram
      self{};  // kind does not matter; addresses only of a node that listens on one address
  bool multicast = true;
  uint16_t multicast_port = kMulticastPort;
  std::vector<std::string> seeds{};
  uint16_t default_port = kDefaultPort;  // of seeds without one, and of sweeps
  bool service = false;
  std::string domain{};                  // empty: those that the resolver searches
  std::optional<Address> name_server{};  // instead of the resolver's, for tests
  std::vector<Subnet> sweep{};           // at most kMostSwept addresses are visited
  unsigned sweep_per_second = 50;        // 1 to 1000
};

class Discovery {
 public:
  static constexpr Milliseconds kAlone{5000};
  static constexpr Milliseconds kTogether{60000};
  static constexpr uint64_t kMostSwept = 65536;
  static constexpr size_t kMostTried = 1024;
  static constexpr unsigned kAnswersASecond = 20;

  struct Local {
    std::function<bool()> alone;                  // no other member is present
    std::function<bool(NodeId)> is_present;       // a present member, or this node
    std::function<bool(const Address&)> is_ours;  // a present member or this node listens there
    std::function<void(const Address&)> on_found;
    // To one address, from the node's own socket.
    std::function<bool(const Address& to, std::string_view bytes)> send;
    // A datagram that is none of ours.
    std::function<void(const Address& from)> on_malformed;
  };

  // A network without multicast is no error: log says so once.
  Discovery(Loop& loop, const Clock& clock, DiscoverySettings settings, Local local);
  ~Discovery();

  // Looks now, and then again and again.
  void start();
  // The same for a machine that is no member, so it announces nothing and answers nobody.
  void ask();
  // What came to the node's own socket and is_discovery().
  void receive(const Address& from, std::string_view bytes);

  std::vector<Sighting> others() const { return sightings_.recent(clock_.now()); }

 private:
  void look();
  void resolve();
  void sweep_some();
  void hear(const Address& from, std::string_view bytes, bool multicast);
  void answer(const Address& from, bool multicast);
  void announce();
  void found(const Address& address);
  bool answer_allowed();
  std::string datagram(DiscoveryKind kind) const;

  Loop& loop_;
  const Clock& clock_;
  DiscoverySettings settings_;
  Local local_;
  std::minstd_rand random_{std::random_device{}()};
  std::unique_ptr<Multicast> multicast_;
  Sightings sightings_;
  std::unordered_map<std::string, MonotonicTime> tried_;  // by the text of the address
  bool resolving_ = false;
  uint64_t sweep_at_ = 0;  // in the row of all addresses of all subnets
  MonotonicTime sweep_again_{};
  unsigned heard_ = 0;  // announcements since the last question
  MonotonicTime answer_second_{};
  unsigned answers_ = 0;
  Timer look_timer_;
  Timer sweep_timer_;
  Timer announce_timer_;
  bool announcing_ = false;
  bool asks_only_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what comes back from the pool
};

// The address number `index` of the row; nullopt after the last one. Leaves out the first and last address of a network
// of more than two.
std::optional<Address> swept_address(const std::vector<Subnet>& subnets, uint64_t index,
                                     uint16_t port);

}  // namespace om::members
