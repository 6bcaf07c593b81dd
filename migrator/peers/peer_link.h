// SPDX-License-Identifier: Apache-2.0
//
// The connection to one peer, of two kinds:
//
//   kept       of a peer that was named: it is dialled, dialled again with growing pauses, and checked by a hello every
//              two seconds, which says whether the peer is up
//   on demand  of a member: it is made for who reaches for the peer, and closed after kIdle without use; whether the
//              peer is up comes from the membership (hold())
//
// Each of two nodes makes calls only on the connection that it has made. Under TLS the peer must have the certificate
// of the node of this name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/schema/cluster.capnp.h"
#include "common/tls/tls_stream.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/cluster_news.h"
#include "migrator/peers/facts.h"
#include "migrator/peers/node_dial.h"
#include "migrator/peers/peers_file.h"
#include "migrator/peers/refusals.h"

namespace om::migrator {

// Pause before attempt number `failures` (1: after the first failure). jitter in [0, 1] spreads the nodes.
Milliseconds reconnect_pause(uint32_t failures, double jitter);

class PeerLink {
 public:
  static constexpr Milliseconds kHelloPeriod{2000};
  static constexpr Milliseconds kHelloLimit{5000};
  static constexpr Milliseconds kAdmitLimit{15000};
  static constexpr Milliseconds kIdle{60000};  // longer than any call takes
  static constexpr Milliseconds kFailureCounts{30000};
  static constexpr size_t kMostWaiting = 1024;
  static constexpr const char* kNotReached = "not reached yet";

  struct Local {
    Address from;                      // where this node listens
    std::function<NodeFacts()> facts;  // this node's current facts
    // Of a kept link.
    std::function<void(const std::string& peer, bool up, const std::string& reason)> on_change;
    // For the next connection; nullopt or unset: plain text.
    std::function<std::optional<TlsContext>()> tls;
    // Of handshakes that failed; may be unset.
    std::function<void(const Refusal& refusal, const std::string& peer)> on_refusal;
    // What members talk about the cluster; null: nothing. It outlives the link.
    const ClusterDesk* desk = nullptr;
    Milliseconds idle = kIdle;  // of a link on demand
  };

  // A peer that has answered just now. It may outlive the link; calls fail then.
  struct Reached {
    wire::Node::Client node;
    NodeFacts facts;
    bool member = false;  // known by its certificate
  };

  PeerLink(UvKj& kj, Peer peer, const Local& local);
  ~PeerLink();

  const Peer& peer() const { return peer_; }
  bool up() const { return up_; }
  // On demand: it was not tried yet, and nobody has said anything about it.
  bool untried() const { return peer_.on_demand && !up_ && reason_ == kNotReached; }
  const std::string& reason() const { return reason_; }  // why it is down
  const std::optional<NodeFacts>& facts() const {
    return facts_;
  }                                            // the last hello, also when down
  uint32_t rtt_us() const { return rtt_us_; }  // of the last hello
  bool encrypted() const { return up_ && (encrypted_ || peer_.on_demand); }
  MonotonicTime heard() const { return heard_; }  // when it last said hello
  // On demand, and facts() are worth a refresh().
  bool stale() const;
  bool connected() const { return connection_.get() != nullptr; }

  // Fails with why it cannot be reached: one line.
  kj::Promise<Reached> reach();
  // The same for questions to a member; without TLS nobody is one.
  kj::Promise<wire::Member::Client> member();
  // Brings facts() up to date, if the link is on demand, also of a peer that is down. Never fails.
  kj::Promise<void> refresh();

  // nullopt: admitted, a keeper has been started. TARGET_UNREACHABLE if the peer does not answer. `adapt` is called
  // with what is known of the peer; may be unset.
  using Adapt = std::function<void(const NodeFacts& peer, Offer& offer)>;
  kj::Promise<std::optional<Reason>> admit(Offer offer, const Adapt& adapt = {});

  // Kept: dials now instead of after the pause, because the peer has just called us.
  void nudge();
  // A connection of the caller's own, for a call that takes long.
  kj::Promise<kj::Own<NodeConnection>> dial() const {
    return dial_node(kj_, dialling(), peer_.address);
  }
  // The same, although the cluster may have removed the peer.
  kj::Promise<kj::Own<NodeConnection>> dial_anyway() const;
  // Gives up the connection, as this node is another one now; a kept one is dialled anew.
  void redial();
  // On demand: what the membership believes. An empty reason: what the last attempt to dial it said, if that was a
  // moment ago.
  void hold(bool up, const std::string& reason);
  // What the membership says that it speaks.
  void note_protocol(uint32_t protocol);
  // A dial of this peer has failed, here or elsewhere in this node.
  void note_failure(const std::string& text);

 private:
  using Answer = std::optional<Reason>;
  // Both kinds.
  NodeDial dialling() const;
  kj::Promise<void> connect();
  kj::Promise<void> say_hello();
  void take_hello(wire::NodeInfo::Reader from, MonotonicTime sent);
  kj::Promise<void> tell_news();
  std::string explain(const kj::Exception& exception);

  // Kept.
  void start();
  kj::Promise<void> run();
  kj::Promise<void> go_on();
  kj::Promise<void> pause();
  void set_down(const std::string& reason);

  // On demand: peer_link_on_demand.cc.
  kj::Promise<Reached> reach_on_demand();
  Reached reached();
  bool fresh() const;
  void work();
  kj::Promise<void> answer_or_connect();
  void finish(const kj::Exception* failure);
  void close();

  UvKj& kj_;
  Peer peer_;
  const Local& local_;
  bool up_ = false;
  bool encrypted_ = false;
  std::string reason_ = kNotReached;
  std::optional<NodeFacts> facts_;
  uint32_t rtt_us_ = 0;
  uint32_t failures_ = 0;
  MonotonicTime heard_{};  // the last hello's answer
  kj::Own<NodeConnection> connection_;
  kj::Own<kj::PromiseFulfiller<void>> nudge_;
  // On demand.
  std::string failure_;
  MonotonicTime failed_{};
  bool busy_ = false;  // with a connection or a hello that the following wait for
  std::vector<kj::Own<kj::PromiseFulfiller<Reached>>> waiting_;
  Timer idle_;
  kj::Promise<void> gone_;
  kj::Promise<void> running_;
};

}  // namespace om::migrator
