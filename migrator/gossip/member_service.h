// SPDX-License-Identifier: Apache-2.0
//
// The running membership of one node: owns the state machine (migrator/members), the seal and the socket of its
// datagrams and the discovery; turns what the machine puts out into datagrams, dials and changes. What goes over TLS is
// the caller's (Links), who also serves accused() and page() to others. Loop thread only.
//
// Datagrams go to the first address of a node's record, or to that one of them from which the node was heard last; to a
// node behind a translated address, which never sends from any of them, back to where it sends from. Answers always go
// where the question came from.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/net/address.h"
#include "common/uv/loop.h"
#include "migrator/gossip/discovery.h"
#include "migrator/gossip/gossip_seal.h"
#include "migrator/gossip/gossip_socket.h"
#include "migrator/gossip/refusals.h"
#include "migrator/gossip/snapshot.h"
#include "migrator/gossip/start_numbers.h"
#include "migrator/members/member_view.h"
#include "migrator/members/membership.h"

namespace om::members {

// What a member said over TLS about all: who it is by its certificate, and what it believes.
struct Fetched {
  NodeId from;
  std::vector<Rumour> rumours;
};

// Connections by TLS, made by the caller. Every `done` is called once, at any time, from the loop; after the service
// has gone it does nothing.
struct Links {
  // Tells the node that it is suspected at `incarnation` (its MemberService::accused()); `done` gets the answer, or
  // nullopt if there is none within a second.
  std::function<void(const MemberView& node, uint64_t incarnation,
                     std::function<void(std::optional<uint64_t>)> done)>
      accuse;
  // Fetches all pages of a member, whoever it is: it is at `address`, or it is the known member `node`.
  std::function<void(const Address& address, std::optional<NodeId> node,
                     std::function<void(Result<Fetched>)> done)>
      fetch;
};

class MemberService {
 public:
  static constexpr size_t kMostFetches = 4;  // at a time
  static constexpr Milliseconds kChangeOver{60000};
  static constexpr Milliseconds kAcceptOlder{600000};
  static constexpr Milliseconds kAskForKeyEvery{5000};

  struct Settings {
    NodeRecord self{};  // complete; `stated` does not matter
    StartNumbers start{};
    std::vector<GroupKey> keys{};  // one, or while it is replaced two, the older one first
    members::Settings membership{};
    DiscoverySettings
        discovery{};  // `self` is filled in from the above, but for cluster and cluster_name
  };
  struct Events {
    // After each change; a denied or forgotten node may have no record any more, then only its id is set.
    std::function<void(ChangeKind, const MemberView&)> on_change;
    // Datagrams seem to come under a group key that this node does not have: to be fetched, then add_key().
    std::function<void()> on_unknown_key;
  };

  // Takes over an open socket. Errors: a record out of its ranges, no key, OpenSSL.
  static Result<std::unique_ptr<MemberService>> create(Loop& loop, const Clock& clock,
                                                       Settings settings,
                                                       std::unique_ptr<GossipSocket> socket,
                                                       Links links, Events events);
  ~MemberService();

  // Looks for others from now on.
  void start();

  // All others that are known, in the order of their ids; and one of them.
  std::vector<MemberView> members() const;
  std::optional<MemberView> find(NodeId node) const;
  std::optional<MemberView> find(const std::string& name) const;  // a present one first
  // Nodes of other clusters and versions on the same links.
  std::vector<Sighting> others() const { return discovery_->others(); }
  const NodeRecord& self() const { return machine_->self(); }
  uint64_t incarnation() const { return machine_->incarnation(); }
  bool denied(NodeId node) const { return machine_->denied(node); }

  // For the node that asks over TLS: it suspects this one. Returns the incarnation for its answer.
  uint64_t accused(uint64_t incarnation);
  // For a node that joins or was away: a piece of all that is known, from `after` on ("" at first).
  SnapshotPage page(const std::string& after) const;

  // See Membership::restate().
  void restate(uint64_t features);

  // Accepts the key at once, and seals with it after kChangeOver, when the others have it, too.
  // Of two keys with one number the greater one counts, and at once.
  Result<void> add_key(const GroupKey& key);
  uint32_t newest_key() const { return seal_.newest(); }
  // Those that are accepted, for a node that joins: as in Settings.
  std::vector<GroupKey> keys() const { return seal_.keys(); }

  // Says goodbye; the service is to live for a second longer.
  void leave();
  // Denies a node for ever; false if the entry is not signed by somebody who may.
  bool deny(NodeId node, std::string_view entry);

  const Refusals& refusals() const { return refusals_; }
  const GossipSocket& socket() const { return *socket_; }
  Footprint footprint() const { return machine_->footprint(); }
  size_t senders() const { return seal_.senders(); }

 private:
  struct Route {
    Address seen;            // the source of its last datagram
    bool confirmed = false;  // it is one of its record
  };
  struct Replying {
    NodeId to;
    Address at;
  };

  MemberService(Loop& loop, const Clock& clock, Settings settings,
                std::unique_ptr<GossipSocket> socket, Links links, Events events);
  void receive(const Address& from, std::string_view bytes);
  void note_route(NodeId sender, const Address& from);
  std::optional<Address> route_to(NodeId node) const;
  void send(const Send& send, const std::optional<Replying>& replying);
  void settle(const std::optional<Replying>& replying = {});
  void dial(const Dial& dial);
  void report(const Change& change);
  void fetch(const Address& address, std::optional<NodeId> node);
  void arm();
  void sweep();
  bool listens_at(const NodeRecord& record, const Address& address) const;
  MemberView view(const Member& member) const;
  Discovery::Local discovery_local();

  Loop& loop_;
  const Clock& clock_;
  Links links_;
  Events events_;
  RecordPool pool_;
  std::mt19937_64 random_;
  std::unique_ptr<Membership> machine_;
  GossipSeal seal_;
  Refusals refusals_;
  std::unique_ptr<GossipSocket> socket_;
  std::unique_ptr<Discovery> discovery_;
  std::unordered_map<NodeId, Route> routes_;
  std::unordered_map<NodeId, WallTime> since_;
  std::set<std::string> fetching_;  // texts of addresses
  MonotonicTime asked_for_key_{};
  Timer timer_;
  Timer sweep_timer_;
  Timer key_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace om::members
