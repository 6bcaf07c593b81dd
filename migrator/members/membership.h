// SPDX-License-Identifier: Apache-2.0
//
// Who is in the cluster, and who is reachable: the state machine of one node. Pure: the time, random numbers, datagrams
// and the outcome of dials go in; datagrams, dial requests and changes come out (take_output()). No sockets, threads or
// clocks; the caller ticks at next_wake() or before, and after each call carries out the output.
//
// Each period a node pings one member, through three others if it does not answer. If nobody gets an answer it
// suspects the member and says so; the member objects by raising its incarnation. If it has not done so at once, the
// node that suspected it first dials it, while it can still object, and only if that fails says that it is down;
// whoever has heard the suspicion from others waits at least four times as long before it dials by itself. What a
// node says of others ("rumours") rides on all datagrams and on gossip, which is sent while there are any. What is
// wrong about a node is told to it in every datagram to it, so one that was cut off objects as soon as it can. One
// member that is down is pinged every few periods: so halves of a cluster that was divided find each other. The cost
// per period does not depend on the number of members. A member that answers dials and no pings is not suspected any
// more (tcp_only.h).
//
// Of two rumours about a node the higher incarnation counts; of the same incarnation alive < suspected < down < left.
// Denied counts for ever. Only the node itself raises its incarnation.
#pragma once

#include <stdint.h>

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "migrator/members/change_kind.h"
#include "migrator/members/datagram.h"
#include "migrator/members/member_table.h"
#include "migrator/members/probes.h"
#include "migrator/members/rumours.h"
#include "migrator/members/suspicions.h"
#include "migrator/members/tcp_only.h"

namespace om::members {

constexpr size_t kMaxDenied = 4096;

struct Timing {
  Milliseconds period{1000};        // between pings
  Milliseconds ask_after{200};      // without an ack: others are asked
  Milliseconds suspect_after{450};  // since the ping; less than period + ask_after
  Milliseconds suspicion{200};      // before the first suspecting node dials, which takes up to 1 s
  Milliseconds others_wait{4000};   // before others dial: up to twice as long
  Milliseconds dial_again{4000};    // if dialled() does not come
  Milliseconds gossip{250};         // between gossip datagrams while there are rumours
  Milliseconds pause{2000};         // between ticks: more means that this node has stood still
  Milliseconds forget_down{24 * 3600 * 1000};
  Milliseconds forget_left{3600 * 1000};
  unsigned helpers = 3;      // members that are asked to ping another one
  unsigned knock_every = 5;  // periods between pings to a member that is down
};

struct Settings {
  Timing timing{};
  size_t most_members = 16384;
  // Whether `entry` is a deny entry for `node`, signed by somebody who may sign one. Without it nothing is.
  std::function<bool(NodeId node, std::string_view entry)> verify_deny{};
};

struct Send {
  NodeId to{};  // if its record is not known: back to where its datagram came from
  std::string bytes;
};

// To be dialled within a second. The dialled node's accused() gives the incarnation for dialled(). 0: it is not
// suspected.
struct Dial {
  NodeId node{};
  uint64_t incarnation = 0;
};

struct Change {
  ChangeKind kind{};
  NodeId node{};
};

struct Output {
  std::vector<Send> sends;
  std::vector<Dial> dials;
  std::vector<Change> changes;  // each once, in their order
  std::vector<NodeId> syncs;    // this node was away: merge() the snapshot() of that one
};

// What is kept, in pieces.
struct Footprint {
  size_t members = 0;
  size_t rumours = 0;
  size_t probes = 0;
  size_t relays = 0;
  size_t suspicions = 0;
  size_t tcp_only = 0;
  size_t denied = 0;
};

class Membership {
 public:
  // `incarnation`: higher than at the last start (seconds since 1970 will do). `random` must not repeat itself after a
  // restart. `pool` outlives this. Preconditions: check_record(self), incarnation < kMaxIncarnation.
  Membership(Settings settings, RecordPool& pool, Random random, const NodeRecord& self,
             uint64_t incarnation, MonotonicTime now);

  // Everything known, as rumours: for a node that joins or was away. Deny entries come first.
  std::vector<Rumour> snapshot() const;
  // Believes what another member's snapshot() says, as if it were heard, but does not pass it on.
  void merge(MonotonicTime now, std::span<const Rumour> rumours);

  // A datagram whose seal says that it is from `from`. An Error if it is malformed, or from a denied node; it changes
  // nothing then.
  Result<void> receive(MonotonicTime now, NodeId from, std::string_view bytes);
  // Does what is due. Times that go backwards are harmless.
  void tick(MonotonicTime now);
  MonotonicTime next_wake() const;

  // The outcome of a Dial: the incarnation that the node gave, or nullopt if it could not be reached.
  void dialled(MonotonicTime now, NodeId node, std::optional<uint64_t> incarnation);
  // Somebody has dialled this node because it is suspected at `incarnation`: objects. Returns the own incarnation.
  uint64_t accused(uint64_t incarnation);

  // States other features of this node from now on, and tells the others.
  void restate(uint64_t features);
  // Says goodbye to as many members as a rumour has sends; after that nothing is pinged. Tick for a second longer.
  void leave(MonotonicTime now);
  // Denies a node for ever. False if the entry does not verify or kMaxDenied are there.
  bool deny(NodeId node, std::string_view entry);

  Output take_output() { return std::exchange(out_, {}); }

  const NodeRecord& self() const { return self_; }
  uint64_t incarnation() const { return incarnation_; }
  // Others only. A pointer or reference is valid until the next call that is not const.
  const Member* find(NodeId node) const { return table_.find(node); }
  const std::vector<Member>& members() const { return table_.all(); }
  bool denied(NodeId node) const { return denied_.contains(node); }
  Footprint footprint() const;

 private:
  enum class Standing : uint8_t { kMember, kLeft, kDenied };
  struct Due {
    MonotonicTime ping;
    MonotonicTime gossip;
    MonotonicTime sweep;
    MonotonicTime last_tick;
  };

  // membership.cc
  void ping_next(MonotonicTime now);
  void ask_others(const Probes::Unanswered& probe);
  void answer(MonotonicTime now, NodeId from, const Datagram& datagram);
  void send(NodeId to, DatagramKind kind, uint32_t sequence, NodeId target);
  unsigned budget() const { return rumour_budget(table_.present() + 1); }

  // hearsay.cc
  void hear(MonotonicTime now, const Rumour& rumour, NodeId from, bool pass_on);
  void hear_joined(MonotonicTime now, const Rumour& rumour, bool pass_on);
  void hear_of_self(const Rumour& rumour, NodeId from);
  bool is_news(const Member& member, State state, uint64_t incarnation) const;
  void believe(MonotonicTime now, NodeId node, State state, uint64_t incarnation, bool pass_on);
  void suspect(MonotonicTime now, NodeId node);
  void object(uint64_t incarnation);
  void say(RumourKind kind, NodeId node, uint64_t incarnation);

  Settings settings_;
  Random random_;
  NodeRecord self_;
  uint64_t incarnation_;
  Standing standing_ = Standing::kMember;
  MemberTable table_;
  RumourQueue rumours_;
  Probes probes_;
  Relays relays_;
  Suspicions suspicions_;
  TcpOnly tcp_only_;
  std::map<NodeId, std::string> denied_;  // deny entries
  uint32_t sequence_ = 0;
  unsigned pings_ = 0;
  Due due_;
  Output out_;
};

}  // namespace om::members
