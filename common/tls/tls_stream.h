// SPDX-License-Identifier: Apache-2.0
//
// A TLS connection between nodes as a KJ stream, over any other KJ stream.
//
//   auto stream = tls_connect(context, connect_tcp(...), "n2", kj.after(kHandshakeLimit));
//
// Errors are KJ exceptions with one line each. DISCONNECTED: the connection is gone, also when it ends without the
// peer's good-bye (cut off, truncated), and when the handshake takes too long. FAILED: the peer is not who it must be,
// or does not speak the protocol, or bytes were changed on the way; the connection is of no more use.
//
// In TLS 1.3 a client has finished its handshake before the server has looked at its certificate: a refusal by the
// server reaches the client as FAILED of its first read.
//
// A read or write may be dropped at any moment; the connection stays whole. As with every KJ stream, a dropped read
// takes with it what it had already been given, and of a dropped write any part may be sent. A write is fulfilled when
// all but little of it has been passed on; that the rest cannot be sent is told to the next writer, as with a socket.
// Memory is bounded: 32 KiB of the peer's bytes and one record, at most 256 KiB of our own.
#pragma once

#include <kj/async-io.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/net/stream_over.h"
#include "common/tls/tls_engine.h"

namespace om {

// How long a handshake may take where nothing else is known.
constexpr Milliseconds kHandshakeLimit{5000};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // as in stream_over.h
class TlsStream final : public StreamOver {
 public:
  // Use tls_connect() and tls_accept().
  TlsStream(kj::Own<kj::AsyncIoStream> inner, TlsContext context, TlsEngine::Side side,
            const std::optional<std::string>& expected);
  ~TlsStream() noexcept(false);

  kj::Promise<void> handshake();

  // Who the peer is, what was agreed, keys that only the two ends know (RFC 8446, 7.5), the CA: see tls_engine.h.
  const TlsEngine& session() const { return engine_; }

  // shutdownWrite(), and waits until the good-bye is sent. Without it the peer takes the end for a broken connection.
  kj::Promise<void> end_writes();

  kj::Promise<size_t> tryRead(void* buffer, size_t min_bytes, size_t max_bytes) override;
  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  void shutdownWrite() override;

 private:
  using Piece = kj::ArrayPtr<const kj::byte>;

  kj::Promise<size_t> read_more(char* buffer, size_t min_bytes, size_t max_bytes, size_t done);
  kj::Promise<void> write_more(std::vector<Piece> pieces);
  // Fulfilled when all output is sent; one at a time, whoever waits for it.
  kj::Promise<void> drained();
  kj::Promise<void> drain();
  // Fulfilled when a writer may go on: at once while there is little output.
  kj::Promise<void> passed_on();
  void send_on();
  // Fulfilled when there is new input, or the end of it.
  kj::Promise<void> filled();
  kj::Exception failure() const;

  TlsEngine engine_;
  std::vector<uint8_t> sending_;
  std::vector<uint8_t> input_;
  bool ended_ = false;  // inner_ has no more input
  // These belong to the stream, not to a reader or writer, so that dropping one loses no byte. After an error they stay
  // as they are and pass it to all who come later.
  bool draining_ = false;
  bool soon_ = false;  // later_ will send what there is
  bool filling_ = false;
  kj::Maybe<kj::Exception> broken_;  // why output could not be sent
  kj::Maybe<kj::ForkedPromise<void>> drain_;
  kj::Maybe<kj::ForkedPromise<void>> fill_;
  kj::Promise<void> later_ = kj::READY_NOW;
  kj::Promise<void> end_ = kj::READY_NOW;
};
#pragma GCC diagnostic pop

// As a client, to the node of this name, or to any of the cluster. `limit` is fulfilled when there is no more time.
// Dropping the promise closes the connection.
kj::Promise<kj::Own<TlsStream>> tls_connect(TlsContext context, kj::Own<kj::AsyncIoStream> inner,
                                            std::optional<std::string> expected,
                                            kj::Promise<void> limit);
// As the server; session().protocol() says what the peer came for.
kj::Promise<kj::Own<TlsStream>> tls_accept(TlsContext context, kj::Own<kj::AsyncIoStream> inner,
                                           kj::Promise<void> limit);

}  // namespace om
