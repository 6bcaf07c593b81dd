// SPDX-License-Identifier: Apache-2.0
//
// The membership of this daemon: an engine (engine.h) with its certificate, and what follows from it for the other
// parts: whom this node may reach and who of them is up (PeerTable), what the cluster keeps of its
// members (Cluster), what happened (`om events`). Without credentials, with an expired certificate and after the node
// was removed there is none, and the members are peers like those of a file. Loop thread only.
//
// Rumours about members are not proved: what is written down (MemberBook) comes from their certificates. So while the
// book has few members, and of those who say that they may sign, a new member is dialled once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/unique_fd.h"
#include "common/uv/uvkj.h"
#include "migrator/cluster/cluster.h"
#include "migrator/gossip/member_links.h"
#include "migrator/gossip/open_membership.h"
#include "migrator/identity/deny.h"
#include "migrator/membership/engine.h"
#include "migrator/membership/etcd_engine.h"
#include "migrator/peers/cluster_news.h"
#include "migrator/peers/peer_table.h"

namespace om::migrator {

// Bits of NodeRecord::features.
constexpr uint64_t kMaySign = 1;

// What its administrator decides.
struct MembershipSettings {
  Address listen{};   // with its port
  UniqueFd socket{};  // UDP, bound there, for gossip; invalid: there is none
  members::DiscoverySettings discovery{};
  // Members are known by etcd instead.
  std::optional<EtcdSettings> etcd{};
};

// Who is no peer of this node, and why.
struct Outsider {
  std::string name;
  std::string id;
  std::string address;  // empty: not known
  std::string state;    // "left", "denied", "stranger"
  std::string reason;
  bool other_version = false;  // of this cluster
};

class NodeMembership {
 public:
  // Of addresses that this node knows; others are asked for there.
  static constexpr size_t kMostSeeds = 64;
  // As long as the book has fewer, new members are dialled for it.
  static constexpr size_t kEnoughMet = 32;
  static constexpr size_t kMostToMeet = 64;  // at a time

  struct Local {
    Trust& trust;
    Cluster& cluster;
    PeerTable& peers;
    const ClusterDesk& desk;
    std::function<void(const Refusal& refusal, const std::string& source)> on_refusal;
    // Somebody uses a group key that this node does not have. `holder`: who has it; empty: not known.
    std::function<void(const std::string& holder)> ask_for_key;
  };

  NodeMembership(UvKj& kj, const Clock& clock, MembershipSettings settings, Local local);
  ~NodeMembership();

  // Opens or closes it as the credentials want it now, and takes over what they have that is new. An event of the loop
  // at the earliest may call this, not what the membership itself has called. Whether it was opened or closed.
  bool follow_credentials();
  bool running() const { return engine_ != nullptr; }

  // The members: those of the membership, and those that were met before.
  std::vector<Peer> peers() const;
  // All but those that have left, as far as rumours tell.
  std::vector<KnownMember> members() const;
  // Tells the links who is up.
  void apply();
  std::vector<Outsider> outsiders() const;
  // What was refused of what others sent, by cause; since it was opened.
  std::vector<std::pair<std::string, uint64_t>> refused() const;

  // For ClusterDesk and ClusterService; nullopt: there is no membership.
  std::optional<uint64_t> accused(uint64_t incarnation);
  std::optional<MemberPage> page(const std::string& after) const;
  std::optional<Milliseconds> leave();
  // The tokens that all signers share; nullptr: each has its own. Failure: they are out of reach.
  Expected<SharedTokens*, Failure> tokens();
  // This entry is new here.
  void pass_on(const DenyEntry& entry);

 private:
  bool wanted() const;
  Result<void> open();
  Result<std::unique_ptr<MembershipEngine>> make_engine(const OwnDirectory& state);
  members::MembershipOptions options();
  kj::Promise<members::MemberLinks::Dialled> dial(const Address& to);
  bool verify(NodeId node, std::string_view bytes);
  void on_change(members::ChangeKind kind, const members::MemberView& member);
  void show(PeerLink& link, const members::MemberView& member);
  void meet(const members::MemberView& member);
  void learn(const members::MemberView& member, bool joined);
  bool is_met(const members::MemberView& member) const;
  void meet_some();
  void take_denied();
  void event(const char* kind, const members::MemberView& member, const std::string& text);

  UvKj& kj_;
  const Clock& clock_;
  MembershipSettings settings_;
  Local local_;
  std::string complaint_;  // about why it cannot be opened
  std::string of_;         // cluster and node that it was opened for
  bool leaving_ = false;
  std::set<NodeId> met_before_;  // members of the book that were not heard of yet in this life
  bool few_ = true;              // they were at most kEnoughMet at the start
  std::optional<DenyVerifier> verifier_;
  std::vector<std::string> denied_;  // entries that have verified
  std::map<NodeId, int> to_meet_;    // members to dial, and how often their turn has come
  Timer meeting_;
  std::unique_ptr<MembershipEngine> engine_;
};

}  // namespace om::migrator
