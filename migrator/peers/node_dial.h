// SPDX-License-Identifier: Apache-2.0
//
// A connection that this node makes to another one, on which it calls wire::Node there. Loop thread only.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async.h>

#include <functional>
#include <optional>
#include <string>

#include "common/net/address.h"
#include "common/schema/node.capnp.h"
#include "common/tls/tls_stream.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/open_calls.h"

namespace om::migrator {

// The order matters for destruction: the RPC system uses the network, which uses the stream.
struct NodeConnection {
  NodeConnection(kj::Own<kj::AsyncIoStream> given, std::optional<Certificate> peer);

  std::optional<Certificate> certificate;  // of the other node, under TLS
  kj::Own<kj::AsyncIoStream> stream;
  OpenCalls messages;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Node::Client node;
};

struct NodeDial {
  Address from{};                   // where this node listens
  std::optional<TlsContext> tls{};  // nullopt: plain text
  std::optional<std::string>
      expected{};  // the name in the certificate; nullopt: any node of the cluster
  std::function<bool(const NodeId&)>
      denies{};              // whether the cluster has removed that node; may be unset
  Milliseconds limit{5000};  // for connecting, and again for the handshake
};

// Fails with one line: nobody is there, it takes too long, "TLS: ..." for a handshake that fails, or the node was
// removed.
kj::Promise<kj::Own<NodeConnection>> dial_node(UvKj& kj, NodeDial dial, const Address& to);

}  // namespace om::migrator
