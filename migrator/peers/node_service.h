// SPDX-License-Identifier: Apache-2.0
//
// Serves wire::Node (common/schema/node.capnp) to peers on a TCP listener. Every connection has a service of its own,
// which knows the remote address. Nothing that a peer says is trusted: an offer is accepted only if its home node is a
// peer of ours and both the connection and the deputy's listener have that peer's address.
//
// The cost of a connection is bounded: one from an address of no peer is closed at once, one that does not identify
// itself is closed after some seconds; reading stops while answers are not read, and calls are answered at a limited
// rate. An answer is kept until the peer has finished with it (open_calls.h): a peer that has kMaxOpenCalls open and
// calls again loses its connection, and may make another. Its own daemon answers what it asked for there by
// TARGET_UNREACHABLE.
#pragma once

#include <capnp/message.h>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "common/base/unique_fd.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/facts.h"

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
  // From one address. Beyond it a new connection replaces the oldest that has not identified itself.
  static constexpr size_t kMaxConnections = 16;
  // A sound peer has one hello, and one offer for each process that is on its way here.
  static constexpr size_t kMaxOpenCalls = 1024;
  static constexpr Milliseconds kFirstHello{5000};
  static constexpr Milliseconds kIdleLimit{60000};  // a peer says hello every two seconds

  struct Local {
    std::function<NodeFacts()> facts;
    // Whether it is the address of a peer. Connections from others are closed.
    std::function<bool(const Address& from)> knows;
    // The configured address of a peer; nullopt for a stranger.
    std::function<std::optional<Address>(const std::string& name)> address_of;
    std::function<void(const std::string& peer)> on_hello;
    // Admits the process and starts the keeper; nullopt: started.
    std::function<kj::Promise<std::optional<Reason>>(const Offer&)> admit;
  };

  NodeService(UvKj& kj, UniqueFd listener, Local local);
  ~NodeService() noexcept(false);

 private:
  struct Partner;
  struct Connection;
  class Server;
  class TaskErrors;
  void listen_on();
  void accept_some();
  bool make_room(const Address& from);
  kj::Promise<void> end_of(Connection& connection);
  kj::Promise<void> watch_idle(Connection& connection);

  UvKj& kj_;
  UniqueFd listener_;
  Local local_;
  Poller poller_;
  Timer accept_again_;
  std::list<Connection*> connections_;  // oldest first
  std::unique_ptr<TaskErrors> errors_;
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::migrator
