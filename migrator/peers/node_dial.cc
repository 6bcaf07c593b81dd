// SPDX-License-Identifier: Apache-2.0
// gcc 12 takes the value in a promise that is there already for one that may not have been made. It says so in the
// library's headers, so this comes before them.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "migrator/peers/node_dial.h"

#include <kj/debug.h>

#include <utility>

#include "migrator/peers/node_service.h"

namespace om::migrator {
namespace {

// The peer calls on a connection of its own; here there is nothing that it could ask for.
constexpr size_t kMaxOpenCalls = 0;

}  // namespace

NodeConnection::NodeConnection(kj::Own<kj::AsyncIoStream> given, std::optional<Certificate> peer)
    : certificate(std::move(peer)),
      stream(kj::mv(given)),
      messages(*stream, kMaxOpenCalls),
      network(messages, capnp::rpc::twoparty::Side::CLIENT, peer_reader_options()),
      rpc(capnp::makeRpcClient(network)),
      node(nullptr) {
  capnp::MallocMessageBuilder message;
  auto host = message.initRoot<capnp::rpc::twoparty::VatId>();
  host.setSide(capnp::rpc::twoparty::Side::SERVER);
  node = rpc.bootstrap(host).castAs<wire::Node>();
}

// In plain text a node is recognised by its address. Under TLS the kernel chooses one, but on a machine with several
// nodes, where each has a loopback address of its own and others bound what comes from one.
kj::Promise<kj::Own<NodeConnection>> dial_node(UvKj& kj, NodeDial dial, const Address& to) {
  const bool bound = !dial.tls || (dial.from.is_loopback() && to.is_loopback());
  auto connected =
      with_limit(kj, dial.limit, "connecting", connect_tcp(kj, bound ? dial.from : Address(), to));
  return connected.then([&kj, dial = std::move(dial)](kj::Own<kj::AsyncIoStream> stream) mutable
                        -> kj::Promise<kj::Own<NodeConnection>> {
    if (!dial.tls) return kj::heap<NodeConnection>(kj::mv(stream), std::nullopt);
    return tls_connect(*dial.tls, kj::mv(stream), dial.expected, kj.after(dial.limit))
        .then([denies = std::move(dial.denies)](kj::Own<TlsStream> secured) {
          auto peer = secured->session().peer();
          if (denies && peer && denies(peer->id)) {
            kj::throwFatalException(KJ_EXCEPTION(FAILED, "it was removed from the cluster"));
          }
          return kj::heap<NodeConnection>(kj::mv(secured), std::move(peer));
        });
  });
}

}  // namespace om::migrator
