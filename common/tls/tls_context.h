// SPDX-License-Identifier: Apache-2.0
//
// How TLS is done between nodes: version 1.3 and nothing else, no tickets, no resumption, one port for two protocols.
//
//   om/2       between members: both sides show a certificate of the cluster's CA
//   om-join/2  for machines that are about to become members: the server shows its certificate, the client none. The
//              client knows a hash of the CA, from its token; the server sends the CA along.
//
// A server that has not been asked for one of the two refuses.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "common/base/result.h"

namespace om {

enum class TlsProtocol { kNode, kJoin };

struct TlsCredentials {
  std::string certificate_pem;  // of this node
  std::string key_pem;          // of this node
  std::string ca_pem;           // of the cluster: who is believed
};

// A cheap handle; copies share the same state, which lives as long as a stream uses it.
class TlsContext {
 public:
  // A member: server of both protocols, client of om/2. Errors: unreadable texts, a key that does not belong to the
  // certificate. Whether the certificate is still valid is for the other side to judge.
  static Result<TlsContext> member(const TlsCredentials& credentials);
  // A machine without a certificate: client of om-join/2. It believes a server whose certificate was signed by the CA
  // whose certificate (DER) has this SHA-256 (32 bytes).
  static Result<TlsContext> joiner(const std::string& ca_sha256);

  SSL_CTX* raw() const { return state_->context.get(); }
  // What it asks for as a client.
  TlsProtocol protocol() const { return state_->protocol; }

  struct State {
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{nullptr, SSL_CTX_free};
    TlsProtocol protocol = TlsProtocol::kNode;
    std::string ca_sha256;  // of a joiner
  };

 private:
  explicit TlsContext(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Result<std::shared_ptr<State>> make();

  std::shared_ptr<State> state_;
};

}  // namespace om
