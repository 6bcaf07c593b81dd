// SPDX-License-Identifier: Apache-2.0
//
// migrator/membership/member_peers.h: whom a node may reach, and who is no peer and why.
#include "migrator/membership/member_peers.h"

#include <doctest/doctest.h>
#include <string.h>

#include "common/base/version.h"
#include "migrator/identity/identity.h"
#include "test/unit/tls/lab.h"

namespace om::migrator {
namespace {

using members::MemberView;
using members::State;

MemberView member_of(uint64_t id, const std::string& name, uint8_t host, State state) {
  MemberView member;
  member.id = NodeId(id);
  member.name = name;
  member.number = static_cast<uint32_t>(id);
  member.addresses = {members::v4_address(10, 0, 0, host)};
  member.port = 4700;
  member.major = kProtocolMajor;
  member.state = state;
  return member;
}

// A member of `lab` that has met n2, whose id is 2.
struct Met {
  Lab lab;
  Place place;
  SystemClock clock;
  std::optional<Trust> trust;
  std::optional<Cluster> cluster;

  Met() {
    const auto now = std::chrono::floor<std::chrono::seconds>(clock.wall());
    const OwnDirectory own = place.own();
    const auto node = Identity::open(own).value();
    Credentials::Parts parts{lab.ca.sign(node.request("n1").value(), "n1", 1, now).value(),
                             lab.ca.certificate_pem().value(),
                             GroupKey::make(1).value(),
                             {lab.ca.cluster(), now, {}}};
    REQUIRE(Credentials::make(std::move(parts), node.key_pem().value())->save(own).ok());
    trust.emplace(Trust::read(place.path, false).value());
    Cluster::Local local;
    local.name = "n1";
    local.address = *Address::parse("10.0.0.1:4700");
    local.members_changed = [] {};
    local.event = [](const std::string&, const std::string&, const std::string&) {};
    cluster.emplace(*trust, clock, local);
    REQUIRE(cluster->open().ok());
    CHECK(cluster->met({"n2", NodeId(2), 2, "10.0.0.2:4700", false}));
    CHECK_FALSE(cluster->met({"n2", NodeId(2), 2, "10.0.0.2:4700", true}));
  }
  std::vector<std::string> peers(const std::vector<MemberView>& members) const {
    std::vector<std::string> texts;
    for (const Peer& peer : member_peers(members, *cluster, true)) {
      CHECK(peer.on_demand);
      texts.push_back(peer.name + " " + peer.address.host());
    }
    return texts;
  }
};

using Texts = std::vector<std::string>;

TEST_CASE("peers are the members that are there or were met") {
  const Met met;
  CHECK(met.peers({}) == Texts{"n2 10.0.0.2"});
  CHECK(met.peers({member_of(3, "n3", 3, State::kAlive), member_of(4, "n4", 4, State::kDown),
                   member_of(5, "n5", 5, State::kLeft)}) ==
        Texts{"n2 10.0.0.2", "n3 10.0.0.3", "n4 10.0.0.4"});
  // It listens elsewhere now.
  CHECK(met.peers({member_of(2, "n2", 9, State::kAlive)}) == Texts{"n2 10.0.0.9"});
}

TEST_CASE("a name is that of one node") {
  const Met met;
  CHECK(met.peers({member_of(7, "n2", 7, State::kAlive)}) == Texts{"n2 10.0.0.2"});
  CHECK(met.peers({member_of(7, "n1", 7, State::kAlive)}) == Texts{"n2 10.0.0.2"});
  const MemberView gone = member_of(7, "n3", 7, State::kDown),
                   here = member_of(8, "n3", 8, State::kSuspected);
  CHECK(met.peers({gone, here}) == Texts{"n2 10.0.0.2", "n3 10.0.0.8"});
  CHECK(met.peers({here, gone}) == Texts{"n2 10.0.0.2", "n3 10.0.0.8"});
}

TEST_CASE("another major version is named") {
  MemberView member = member_of(3, "n3", 3, State::kAlive);
  CHECK(other_version(member) == "");
  member.minor = kProtocolMinor + 1;
  CHECK(other_version(member) == "");
  member.major = kProtocolMajor + 1;
  CHECK(other_version(member).find("it speaks protocol") != std::string::npos);
}

TEST_CASE("strangers are told apart") {
  const Met met;
  members::Sighting seen;
  seen.name = "o1";
  seen.address = *Address::parse("10.0.0.9:4700");
  seen.cluster_name = "other";
  seen.major = kProtocolMajor;
  const Credentials& own = *met.cluster->member();
  CHECK(stranger(seen, own).reason == "another cluster: other");
  seen.cluster_name = "lab";
  CHECK(stranger(seen, own).reason.find("another CA") == 0);
  CHECK_FALSE(stranger(seen, own).other_version);
  seen.major = kProtocolMajor + 1;
  ::memcpy(seen.cluster.data(), own.cluster_id().data(), seen.cluster.size());
  CHECK(stranger(seen, own).other_version);
  CHECK(stranger(seen, own).reason.find("it speaks protocol") == 0);
}

}  // namespace
}  // namespace om::migrator
