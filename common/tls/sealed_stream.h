// SPDX-License-Identifier: Apache-2.0
//
// A KJ stream over another one on which everything is in records (record.h): SESSION and BULK connections after their
// preamble. A write becomes one record for each 64 KiB, at once; nothing is held back. Pieces of 16 KiB and more have
// records of their own, so that neither end copies them.
//
// Errors are KJ exceptions with one line each. FAILED: bytes were changed, left out, repeated or moved on the way, and
// the connection is of no more use: not a byte of what was changed is handed out. DISCONNECTED: the connection is gone,
// or ends without the peer's end mark, an empty record, which shutdownWrite() sends.
//
// A read or write may be dropped at any moment; the connection stays whole. As with every KJ stream, a dropped read
// takes with it what it had already been given, and of a dropped write any part may be sent. One read and one write at
// a time. Memory is bounded: 260 KiB of the peer's bytes, twice as much of our own, as far as it is used.
#pragma once

#include <kj/async-io.h>

#include <vector>

#include "common/net/stream_over.h"
#include "common/tls/record.h"
#include "libom/abi/sockets.h"

namespace om {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // as in stream_over.h
class SealedStream final : public StreamOver {
 public:
  // Use seal_stream().
  SealedStream(kj::Own<kj::AsyncIoStream> inner, RecordSealer sealer, RecordOpener opener);

  kj::Promise<size_t> tryRead(void* buffer, size_t min_bytes, size_t max_bytes) override;
  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  // Sends the end mark behind what was written, and ends the connection's direction.
  void shutdownWrite() override;
  // Of the connection below: to look after it or to end it. Its bytes are records.
  kj::Maybe<int> getFd() const override { return inner_->getFd(); }

 private:
  using Piece = kj::ArrayPtr<const kj::byte>;
  // Bytes [begin, end) of a buffer.
  struct Part {
    size_t begin = 0, end = 0;
    size_t size() const { return end - begin; }
  };

  kj::Promise<size_t> read_more(uint8_t* buffer, size_t min_bytes, size_t max_bytes, size_t done);
  // False: there is no whole record.
  bool open_next(uint8_t* buffer, size_t room, size_t& taken);
  // Fulfilled when there is new input, or the end of it.
  kj::Promise<void> filled();
  kj::Promise<void> write_more(std::vector<Piece> pieces);
  // Takes from the front of pieces [first, end) as much as there is room for.
  void seal(std::vector<Piece>& pieces, size_t& first);
  void seal_one(std::span<const uint8_t> contents);
  // Fulfilled when all output is sent; one at a time, whoever waits for it.
  kj::Promise<void> drained();
  kj::Promise<void> drain();

  RecordSealer sealer_;
  RecordOpener opener_;
  kj::Array<kj::byte> input_;
  Part sealed_;         // of input_: not opened yet
  Part open_;           // of input_: contents of a record that a reader had no room for
  bool cut_ = false;    // inner_ has no more input
  bool ended_ = false;  // the end mark has come
  kj::Array<kj::byte> output_, sending_;
  size_t sealed_bytes_ = 0;  // in output_
  bool ending_ = false;      // so has ours
  // These belong to the stream, not to a reader or writer, so that dropping one loses no byte. After an error they stay
  // as they are and pass it to all who come later.
  bool draining_ = false;
  bool filling_ = false;
  kj::Maybe<kj::ForkedPromise<void>> drain_;
  kj::Maybe<kj::ForkedPromise<void>> fill_;
  kj::Promise<void> end_ = kj::READY_NOW;
};
#pragma GCC diagnostic pop

// `inner` sealed with these keys, or itself if they say kChannelPlain. KJ exception if OpenSSL has no memory.
kj::Own<kj::AsyncIoStream> seal_stream(kj::Own<kj::AsyncIoStream> inner, const ChannelKeys& keys);

}  // namespace om
