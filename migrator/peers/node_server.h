// SPDX-License-Identifier: Apache-2.0
//
// What a peer can ask on a connection that it has made: wire::Node (common/schema/node.capnp). Nothing that it says is
// trusted. Under TLS it is who its certificate says, and speaks for that node only. Without, it must be at the address
// that the node of this name has, and so must what it names as home.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/tls/certificate.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/cluster_news.h"
#include "migrator/peers/emptied.h"
#include "migrator/peers/facts.h"

namespace om::migrator {

// How this node answers.
struct NodeAnswers {
  std::function<NodeFacts()> facts;
  // The configured address of a peer; nullopt for a stranger. Without TLS only.
  std::function<std::optional<Address>(const std::string& name)> address_of;
  std::function<void(const std::string& peer)> on_hello;
  // Admits the process and starts the keeper; nullopt: started.
  std::function<kj::Promise<std::optional<Reason>>(const Offer&)> admit;
  // What members talk about the cluster; null: nothing.
  const ClusterDesk* desk = nullptr;
  // What members ask to be done to this node; each decides whether the peer may.
  std::function<kj::Promise<EmptyAnswer>(const Certificate& peer, Milliseconds limit)> drain;
  std::function<OpenAnswer(const Certificate& peer)> undrain;
};

// The other end of a connection. A call may outlive its connection.
struct Partner {
  Address from;
  std::optional<Certificate> certificate;  // under TLS, once it is known
  bool known = false;                      // has said hello, or asked what only members may
  size_t busy = 0;                         // calls that take long and have no answer yet
  MonotonicTime heard = std::chrono::steady_clock::now();

  // Its name, or its address without one.
  std::string text() const { return certificate ? certificate->name : from.host(); }
};

// `kj` and `answers` must outlive it.
wire::Node::Client serve_node(UvKj& kj, const NodeAnswers& answers,
                              std::shared_ptr<Partner> partner);

}  // namespace om::migrator
