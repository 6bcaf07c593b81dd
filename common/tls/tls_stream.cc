// SPDX-License-Identifier: Apache-2.0
#include "common/tls/tls_stream.h"

#include <kj/debug.h>

#include <algorithm>
#include <utility>

namespace om {
namespace {

// Two records.
constexpr size_t kInputBytes = 32 << 10;
// A writer waits while there is more.
constexpr size_t kMaxOutput = 64 << 10;
// A writer need not wait for less to leave.
constexpr size_t kLittleOutput = 8 << 10;
// Writers never leave as much.
constexpr size_t kTooMuchOutput = 2 * kMaxOutput;

std::string_view text(kj::ArrayPtr<const kj::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

// Takes the next record's contents from the front: a long piece as it is, several short ones together in `scratch`.
std::string_view next_record(std::vector<kj::ArrayPtr<const kj::byte>>& pieces, size_t& first,
                             std::string& scratch) {
  scratch.clear();
  while (first < pieces.size() && scratch.size() < TlsEngine::kMaxWrite) {
    auto& piece = pieces[first];
    const size_t n = std::min(piece.size(), TlsEngine::kMaxWrite - scratch.size());
    const std::string_view head = text(piece.slice(0, n));
    piece = piece.slice(n, piece.size());
    const bool alone = scratch.empty() && (n == TlsEngine::kMaxWrite || first + 1 == pieces.size());
    if (piece.size() == 0) ++first;
    if (alone) return head;
    scratch += head;
  }
  return scratch;
}

kj::Promise<kj::Own<TlsStream>> shake(kj::Own<TlsStream> stream, kj::Promise<void> limit) {
  auto too_late = limit.then([]() -> kj::Promise<void> {
    return KJ_EXCEPTION(DISCONNECTED, "TLS: the handshake took too long");
  });
  auto done = kj::evalNow([&] { return stream->handshake(); });
  return done.exclusiveJoin(kj::mv(too_late)).then([stream = kj::mv(stream)]() mutable {
    return kj::mv(stream);
  });
}

}  // namespace

TlsStream::TlsStream(kj::Own<kj::AsyncIoStream> inner, TlsContext context, TlsEngine::Side side,
                     const std::optional<std::string>& expected)
    : StreamOver(kj::mv(inner)), engine_(std::move(context), side, expected), input_(kInputBytes) {}

// What was written is sent even if nothing runs any more.
TlsStream::~TlsStream() noexcept(false) {
  if (soon_) send_on();
}

kj::Exception TlsStream::failure() const {
  return KJ_EXCEPTION(FAILED, kj::str("TLS: ", engine_.why().c_str()));
}

kj::Promise<void> TlsStream::handshake() {
  switch (engine_.handshake()) {
    case TlsEngine::Step::kDone:
      return drained();
    case TlsEngine::Step::kNeedsInput:
      if (ended_)
        return KJ_EXCEPTION(DISCONNECTED, "TLS: the peer has hung up during the handshake");
      return drained().then([this] { return filled(); }).then([this] { return handshake(); });
    case TlsEngine::Step::kEnded:
    case TlsEngine::Step::kFailed:
      break;
  }
  send_on();  // the alert
  return failure();
}

kj::Promise<void> TlsStream::drained() {
  if (!draining_) {
    if (engine_.output_size() == 0) return kj::READY_NOW;
    draining_ = true;
    drain_ = drain().fork();
  }
  return KJ_ASSERT_NONNULL(drain_).addBranch();
}

// Little is sent when nothing else is left to do: often more follows at once, and one write is cheaper than two.
kj::Promise<void> TlsStream::passed_on() {
  KJ_IF_MAYBE (exception, broken_) {
    return kj::cp(*exception);
  }
  if (engine_.output_size() > kLittleOutput) return drained();
  if (!draining_ && !soon_) {
    soon_ = true;
    later_ = kj::evalLast([this] {
               soon_ = false;
               send_on();
             }).eagerlyEvaluate(nullptr);
  }
  return kj::READY_NOW;
}

// Nobody waits for it: whoever is told of a failure closes the connection, and what the socket takes at once is sent.
void TlsStream::send_on() { const auto branch = drained(); }

kj::Promise<void> TlsStream::drain() {
  sending_ = engine_.take_output();
  if (sending_.empty()) {
    draining_ = false;
    return kj::READY_NOW;
  }
  return kj::evalNow([this] { return inner_->write(sending_.data(), sending_.size()); })
      .then([this] { return drain(); },
            [this](kj::Exception&& exception) -> kj::Promise<void> {
              broken_ = kj::cp(exception);
              return kj::mv(exception);
            });
}

kj::Promise<void> TlsStream::filled() {
  if (!filling_) {
    filling_ = true;
    fill_ = kj::evalNow([this] { return inner_->tryRead(input_.data(), 1, input_.size()); })
                .then([this](size_t n) {
                  filling_ = false;
                  ended_ = n == 0;
                  engine_.feed({input_.data(), n});
                })
                .fork();
  }
  return KJ_ASSERT_NONNULL(fill_).addBranch();
}

kj::Promise<size_t> TlsStream::tryRead(void* buffer, size_t min_bytes, size_t max_bytes) {
  return read_more(static_cast<char*>(buffer), min_bytes, max_bytes, 0);
}

kj::Promise<size_t> TlsStream::read_more(char* buffer, size_t min_bytes, size_t max_bytes,
                                         size_t done) {
  while (done < max_bytes) {
    size_t n = 0;
    switch (engine_.read({buffer + done, max_bytes - done}, n)) {
      case TlsEngine::Step::kDone:
        done += n;
        break;
      case TlsEngine::Step::kEnded:
        return done;
      case TlsEngine::Step::kFailed:
        send_on();
        if (done > 0 && done >= min_bytes) return done;  // the next read fails
        return failure();
      case TlsEngine::Step::kNeedsInput:
        send_on();  // an answer to a change of keys
        if (done >= min_bytes) return done;
        if (engine_.output_size() > kTooMuchOutput)
          return KJ_EXCEPTION(FAILED, "TLS: the peer wants more answers than it reads");
        if (ended_) return KJ_EXCEPTION(DISCONNECTED, "TLS: the connection was cut off");
        return filled().then([this, buffer, min_bytes, max_bytes, done] {
          return read_more(buffer, min_bytes, max_bytes, done);
        });
    }
  }
  return done;
}

kj::Promise<void> TlsStream::write(const void* buffer, size_t size) {
  return write_more({Piece(static_cast<const kj::byte*>(buffer), size)});
}

kj::Promise<void> TlsStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  return write_more({pieces.begin(), pieces.end()});
}

kj::Promise<void> TlsStream::write_more(std::vector<Piece> pieces) {
  size_t first = 0;
  std::string scratch;
  while (first < pieces.size() && engine_.output_size() < kMaxOutput) {
    const std::string_view record = next_record(pieces, first, scratch);
    if (engine_.write(record) != TlsEngine::Step::kDone) return failure();
  }
  if (first == pieces.size()) return passed_on();
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(first));
  return drained().then(
      [this, rest = std::move(pieces)]() mutable { return write_more(std::move(rest)); });
}

kj::Promise<void> TlsStream::end_writes() {
  engine_.end();
  return drained().then([this] { inner_->shutdownWrite(); });
}

void TlsStream::shutdownWrite() {
  end_ = end_writes().eagerlyEvaluate([](kj::Exception&&) {});
}

kj::Promise<kj::Own<TlsStream>> tls_connect(TlsContext context, kj::Own<kj::AsyncIoStream> inner,
                                            std::optional<std::string> expected,
                                            kj::Promise<void> limit) {
  return shake(
      kj::heap<TlsStream>(kj::mv(inner), std::move(context), TlsEngine::Side::kClient, expected),
      kj::mv(limit));
}

kj::Promise<kj::Own<TlsStream>> tls_accept(TlsContext context, kj::Own<kj::AsyncIoStream> inner,
                                           kj::Promise<void> limit) {
  return shake(kj::heap<TlsStream>(kj::mv(inner), std::move(context), TlsEngine::Side::kServer,
                                   std::nullopt),
               kj::mv(limit));
}

}  // namespace om
