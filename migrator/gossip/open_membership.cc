// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/open_membership.h"

#include <string.h>

#include <utility>

#include "migrator/gossip/endpoints.h"

namespace om::members {

Result<std::unique_ptr<MemberService>> open_membership(Loop& loop, const Clock& clock,
                                                       const migrator::Credentials& credentials,
                                                       const OwnDirectory& state,
                                                       MembershipOptions options, Links links,
                                                       MemberService::Events events) {
  MemberService::Settings settings;
  settings.membership = std::move(options.machine);
  settings.discovery = std::move(options.discovery);
  settings.keys = {credentials.group_key()};

  NodeRecord& self = settings.self;
  self.id = credentials.id();
  self.name = credentials.name();
  self.number = credentials.number();
  self.addresses = own_addresses(options.listen);
  self.port = options.listen.port();
  self.major = options.major;
  self.minor = options.minor;
  self.features = options.features;
  if (self.addresses.empty())
    return plain_error("no network interface has an address at which others could reach this node");

  DiscoveryDatagram& announced = settings.discovery.self;
  announced.cluster_name = credentials.cluster();
  const std::string& cluster = credentials.cluster_id();
  if (cluster.size() != announced.cluster.size()) return plain_error("a cluster without an id");
  ::memcpy(announced.cluster.data(), cluster.data(), cluster.size());
  // Of a wildcard address each link has its own: where the announcement comes from.
  if (!options.listen.is_any()) announced.addresses = self.addresses;
  for (const migrator::Contact& contact : credentials.info().contacts)
    settings.discovery.seeds.push_back(contact.address);

  Address at = options.listen;
  auto socket =
      OM_TRY(options.socket ? GossipSocket::open(loop, std::move(options.socket), at.family())
                            : GossipSocket::open(loop, at));
  settings.start = OM_TRY(take_start_numbers(state, clock.wall()));
  return MemberService::create(loop, clock, std::move(settings), std::move(socket),
                               std::move(links), std::move(events));
}

}  // namespace om::members
