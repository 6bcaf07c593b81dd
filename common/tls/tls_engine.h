// SPDX-License-Identifier: Apache-2.0
//
// One end of a TLS connection without the connection: bytes of the peer go in, bytes for the peer come out, nothing
// waits. tls_stream.h moves the bytes.
//
// A step that fails fails for good: all later ones say the same.
#pragma once

#include <openssl/ssl.h>
#include <stdint.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/certificate.h"
#include "common/tls/openssl.h"
#include "common/tls/tls_context.h"

namespace om {

class TlsEngine {
 public:
  enum class Side { kClient, kServer };
  enum class Step {
    kDone,
    kNeedsInput,  // take_output() first: the peer may be waiting for it
    kEnded,       // the peer has ended its direction, properly
    kFailed,      // why() says why; there may be a last message for the peer
  };

  // `expected`: the node name that a client wants to find; without it, any node of the cluster.
  TlsEngine(TlsContext context, Side side, const std::optional<std::string>& expected);

  Step handshake();
  // After the handshake. `count`: how many bytes there were, up to one record.
  Step read(std::span<char> out, size_t& count);
  // Takes all of it: at most kMaxWrite bytes, so that it becomes one record.
  Step write(std::string_view bytes);
  // Tells the peer that nothing more follows. Reading goes on.
  void end();

  void feed(std::span<const uint8_t> bytes);
  size_t output_size() const;
  std::vector<uint8_t> take_output();

  const std::string& why() const { return why_; }

  // After the handshake. Without value on the server's side of om-join/2.
  const std::optional<Certificate>& peer() const { return peer_; }
  TlsProtocol protocol() const { return protocol_; }
  // The CA by which a client has verified the server, as PEM. Errors: none was verified.
  Result<std::string> ca_pem() const;
  Result<std::string> exporter(std::string_view label, size_t size) const;

  static constexpr size_t kMaxWrite = 16 << 10;

 private:
  Step judge(int result);
  Step fail(std::string why);
  Step settle();
  std::string reason(int error) const;

  TlsContext context_;
  std::unique_ptr<SSL, OpensslFree<SSL_free>> ssl_;
  BIO* in_ = nullptr;  // ssl_ owns both
  BIO* out_ = nullptr;
  bool settled_ = false;
  std::string why_;
  std::optional<Certificate> peer_;
  TlsProtocol protocol_ = TlsProtocol::kNode;
};

}  // namespace om
