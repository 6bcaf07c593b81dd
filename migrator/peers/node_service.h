// SPDX-License-Identifier: Apache-2.0
//
// Serves other nodes on a TCP listener: with TLS, if this node is in a cluster (trust.h), members (node_server.h) and
// machines that want to join; without, whoever is at the address of a peer.
//
// The cost of connections is bounded. Until a peer has said hello, its connection is one of a few from its address and
// of some more in all, and has five seconds, the handshake included; new ones take the place of the oldest. One address
// may connect so often in a second. A member has a few connections, of which new ones replace the oldest as well.
// Reading stops while answers are not read, and calls are answered at a limited rate. An answer is kept until the peer
// has finished with it (open_calls.h): a peer that has kMaxOpenCalls open and calls again loses its connection, and may
// make another. Its own daemon answers what it asked for there by TARGET_UNREACHABLE.
#pragma once

#include <capnp/message.h>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/base/unique_fd.h"
#include "common/tls/tls_stream.h"
#include "common/uv/task_errors.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/node_server.h"
#include "migrator/peers/pace.h"
#include "migrator/peers/refusals.h"

namespace om::migrator {

// For all connections between nodes: a hello or an offer is some tens of KiB.
inline capnp::ReaderOptions peer_reader_options() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 17;  // 1 MiB
  options.nestingLimit = 16;
  return options;
}

// A bound, listening TCP socket. If the port is 0 the kernel chooses one; updates `address`.
Result<UniqueFd> listen_tcp(Address& address);

class NodeService {
 public:
  // From one address until they have said hello, and of one member afterwards.
  static constexpr size_t kMaxConnections = 16;
  // From all addresses together, until they have said hello: some 20 MiB while they are in the handshake.
  static constexpr size_t kMaxUnknown = 256;
  // From one address: one in 10 ms, and as many as this at once.
  static constexpr Milliseconds kConnectEvery{10};
  static constexpr int kConnectsSaved = 200;
  // A sound peer has one hello, and one offer for each process that is on its way here.
  static constexpr size_t kMaxOpenCalls = 1024;
  static constexpr Milliseconds kFirstHello{5000};
  static constexpr Milliseconds kIdleLimit{60000};  // a peer says hello every two seconds
  static constexpr Milliseconds kJoinLimit{20000};

  struct Local : NodeAnswers {
    // Whether it is the address of a peer. Without TLS connections from others are closed.
    std::function<bool(const Address& from)> knows;
    // For the connection that has just come; nullopt or unset: plain text.
    std::function<std::optional<TlsContext>()> tls;
    // Serves a machine that asks for om-join/2 and has shown no certificate. Its connection is given to it, is counted
    // among those that have not said hello, and ends after kJoinLimit, when the promise is dropped. Unset: refused.
    std::function<kj::Promise<void>(kj::Own<TlsStream> stream, const Address& from)> on_joiner;
    // `source`: a name or an address.
    std::function<void(const Refusal& refusal, const std::string& source)> on_refusal;
  };

  NodeService(UvKj& kj, UniqueFd listener, Local local);
  ~NodeService() noexcept(false);

  // Ends all connections: what they have begun with no longer holds.
  void drop_all();
  // Ends the connections of nodes that the cluster has removed.
  void drop_denied();

 private:
  struct Talk;
  struct Connection;
  void listen_on();
  void accept_some();
  bool may_connect(const Address& from);
  void make_room(const Address& from);
  bool make_room_for(const Connection& member);
  bool denied(const Partner& partner) const;
  kj::Promise<void> end_of(Connection& connection, UniqueFd socket);
  kj::Promise<void> serve(Connection& connection, UniqueFd socket);
  kj::Promise<void> meet(Connection& connection, kj::Own<TlsStream> stream);
  kj::Promise<void> talk(Connection& connection, kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> turn_away(Connection& connection, const kj::Exception& exception);
  kj::Promise<void> watch(Connection& connection);
  kj::Promise<void> watch_idle(Connection& connection);
  void refuse(Refusal::Cause cause, const std::string& source);

  UvKj& kj_;
  UniqueFd listener_;
  Local local_;
  Poller poller_;
  Timer accept_again_;
  std::list<Connection*> connections_;  // oldest first
  std::map<std::string, Pace> paces_;   // by address
  TaskErrors errors_{"peer", LogLevel::kWarn, "connection from a node: "};
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::migrator
