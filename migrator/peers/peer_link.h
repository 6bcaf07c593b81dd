// SPDX-License-Identifier: Apache-2.0
//
// The connection to one peer: dials it, redials with growing pauses, checks it by a hello every two seconds. Two nodes
// dial each other; each makes calls only on the connection that it dialled. Under TLS the peer must have the
// certificate of the node of this name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/schema/cluster.capnp.h"
#include "common/tls/tls_stream.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/cluster_news.h"
#include "migrator/peers/facts.h"
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

  struct Local {
    Address from;                      // where this node listens
    std::function<NodeFacts()> facts;  // this node's current facts
    std::function<void(const std::string& peer, bool up, const std::string& reason)> on_change;
    // For the next connection; nullopt or unset: plain text.
    std::function<std::optional<TlsContext>()> tls;
    // Of handshakes that failed; may be unset.
    std::function<void(const Refusal& refusal, const std::string& peer)> on_refusal;
    // What members talk about the cluster; null: nothing. It outlives the link.
    const ClusterDesk* desk = nullptr;
  };

  PeerLink(UvKj& kj, Peer peer, const Local& local);
  ~PeerLink();

  const Peer& peer() const { return peer_; }
  bool up() const { return up_; }
  const std::string& reason() const { return reason_; }  // why it is down
  const std::optional<NodeFacts>& facts() const {
    return facts_;
  }                                            // the last hello, also when down
  uint32_t rtt_us() const { return rtt_us_; }  // of the last hello
  bool encrypted() const { return up_ && encrypted_; }
  // For questions to a member; nullopt while it is down, and without TLS.
  std::optional<wire::Member::Client> member();

  // Dials now instead of after the pause, because the peer has just called us.
  void nudge();
  // Gives up the connection and dials anew, as this node is another one now.
  void redial();

  // nullopt: admitted, a keeper has been started. TARGET_UNREACHABLE if the peer does not answer.
  kj::Promise<std::optional<Reason>> admit(const Offer& offer);

 private:
  struct Connection;
  void start();
  kj::Promise<void> run();
  kj::Promise<kj::Own<kj::AsyncIoStream>> dial();
  kj::Promise<void> talk();
  kj::Promise<void> say_hello();
  void meet(const TlsStream& stream);
  kj::Promise<void> tell_news();
  kj::Promise<void> pause();
  void set_down(const std::string& reason);
  void on_failure(const kj::Exception& exception);

  UvKj& kj_;
  Peer peer_;
  const Local& local_;
  bool up_ = false;
  bool encrypted_ = false;
  std::optional<Certificate> certificate_;  // of the peer, under TLS
  std::string reason_ = "not reached yet";
  std::optional<NodeFacts> facts_;
  uint32_t rtt_us_ = 0;
  uint32_t failures_ = 0;
  kj::Own<Connection> connection_;
  kj::Own<kj::PromiseFulfiller<void>> nudge_;
  kj::Promise<void> running_;
};

}  // namespace om::migrator
