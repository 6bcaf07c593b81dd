// SPDX-License-Identifier: Apache-2.0
//
// What this node serves to its peers: wire::Node (common/schema/node.capnp) on a TCP listener. Every
// connection has a service of its own, which knows the address it came from. Nothing a peer says is trusted:
// an offer is taken only if its home node is a peer of ours and both the connection and the deputy's
// listener have that peer's address.
//
// What a connection can cost is bounded: one from nobody's address is closed at once, one that does not say who it is
// within some seconds soon; answers that are not read stop the reading, and calls are answered at a limited rate.
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

// For every connection between nodes: a hello or an offer is some tens of KiB.
inline capnp::ReaderOptions peer_reader_options() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 17;  // 1 MiB
  options.nestingLimit = 16;
  return options;
}

// A bound, listening TCP socket; port 0 becomes the one that the kernel chose. The address is updated.
Result<UniqueFd> listen_tcp(Address& address);

class NodeService {
 public:
  // From one address. Beyond it a new connection takes the place of the oldest that has not said who it is.
  static constexpr size_t kMaxConnections = 16;
  static constexpr Milliseconds kFirstHello{5000};
  static constexpr Milliseconds kIdleLimit{60000};  // a peer says hello every two seconds

  struct Local {
    std::function<NodeFacts()> facts;
    // Whether it is the address of a peer. Others are not listened to.
    std::function<bool(const Address& from)> knows;
    // The configured address of a peer; nullopt for a stranger.
    std::function<std::optional<Address>(const std::string& name)> address_of;
    std::function<void(const std::string& peer)> on_hello;
    // Admission and start of the keeper; nullopt: started.
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
