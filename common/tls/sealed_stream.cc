// SPDX-License-Identifier: Apache-2.0
#include "common/tls/sealed_stream.h"

#include <kj/debug.h>
#include <string.h>

#include <algorithm>
#include <span>
#include <utility>

namespace om {
namespace {

// So many records are sent, or read, by one system call.
constexpr size_t kRecordsAtOnce = 4;
constexpr size_t kInputBytes = kRecordsAtOnce * kMaxRecordBytes;
// And the end mark.
constexpr size_t kOutputBytes = kRecordsAtOnce * kMaxRecordBytes + kRecordOverhead;

// To copy as much costs more than a record.
bool is_long(kj::ArrayPtr<const kj::byte> piece) { return piece.size() >= size_t{16} << 10; }

[[noreturn]] void fail(const Error& error) {
  kj::throwFatalException(KJ_EXCEPTION(FAILED, error.what.c_str()));
}

template <class T>
T value_of(Result<T> result) {
  if (!result) fail(result.error());
  return std::move(*result);
}

}  // namespace

SealedStream::SealedStream(kj::Own<kj::AsyncIoStream> inner, RecordSealer sealer,
                           RecordOpener opener)
    : StreamOver(kj::mv(inner)),
      sealer_(std::move(sealer)),
      opener_(std::move(opener)),
      input_(kj::heapArray<kj::byte>(kInputBytes)),
      output_(kj::heapArray<kj::byte>(kOutputBytes)),
      sending_(kj::heapArray<kj::byte>(kOutputBytes)) {}

kj::Promise<size_t> SealedStream::tryRead(void* buffer, size_t min_bytes, size_t max_bytes) {
  return kj::evalNow(
      [&] { return read_more(static_cast<uint8_t*>(buffer), min_bytes, max_bytes, 0); });
}

kj::Promise<size_t> SealedStream::read_more(uint8_t* buffer, size_t min_bytes, size_t max_bytes,
                                            size_t done) {
  while (done < max_bytes) {
    if (ended_ && open_.size() == 0) return done;
    size_t taken = 0;
    if (open_next(buffer + done, max_bytes - done, taken)) {
      done += taken;
      continue;
    }
    if (done >= min_bytes) return done;
    if (cut_) return KJ_EXCEPTION(DISCONNECTED, "the connection was cut off");
    return filled().then([this, buffer, min_bytes, max_bytes, done] {
      return read_more(buffer, min_bytes, max_bytes, done);
    });
  }
  return done;
}

bool SealedStream::open_next(uint8_t* buffer, size_t room, size_t& taken) {
  if (open_.size() > 0) {
    taken = std::min(room, open_.size());
    memcpy(buffer, input_.begin() + open_.begin, taken);
    open_.begin += taken;
    return true;
  }
  const std::span<uint8_t> sealed(input_.begin() + sealed_.begin, sealed_.size());
  if (sealed.size() < kRecordHeaderBytes) return false;
  const size_t size = value_of(RecordOpener::record_size(sealed.first<kRecordHeaderBytes>()));
  if (sealed.size() < size) return false;
  const std::span<uint8_t> record = sealed.first(size);
  const size_t contents = size - kRecordOverhead;
  // To where it is wanted, if all of it fits there; otherwise where it lies, and it is copied piece by piece.
  if (contents <= room) {
    taken = value_of(opener_.open(record, {buffer, room}));
  } else {
    (void)value_of(opener_.open(record, record.subspan(kRecordHeaderBytes)));
    open_.begin = sealed_.begin + kRecordHeaderBytes;
    open_.end = open_.begin + contents;
  }
  sealed_.begin += size;
  if (contents == 0) ended_ = true;
  return true;
}

// Only when all that has been opened is taken.
kj::Promise<void> SealedStream::filled() {
  if (!filling_) {
    filling_ = true;
    memmove(input_.begin(), input_.begin() + sealed_.begin, sealed_.size());
    sealed_ = {0, sealed_.size()};
    fill_ = kj::evalNow([this] {
              return inner_->tryRead(input_.begin() + sealed_.end, 1, input_.size() - sealed_.end);
            })
                .then([this](size_t n) {
                  filling_ = false;
                  cut_ = n == 0;
                  sealed_.end += n;
                })
                .fork();
  }
  return KJ_ASSERT_NONNULL(fill_).addBranch();
}

kj::Promise<void> SealedStream::write(const void* buffer, size_t size) {
  return kj::evalNow(
      [&] { return write_more({Piece(static_cast<const kj::byte*>(buffer), size)}); });
}

kj::Promise<void> SealedStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  return kj::evalNow([&] { return write_more({pieces.begin(), pieces.end()}); });
}

kj::Promise<void> SealedStream::write_more(std::vector<Piece> pieces) {
  size_t first = 0;
  seal(pieces, first);
  if (first == pieces.size()) return drained();
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(first));
  return drained().then(
      [this, rest = std::move(pieces)]() mutable { return write_more(std::move(rest)); });
}

// A long piece is sealed from where it lies, in records of its own, which a reader can open where it wants them; short
// ones are put together.
void SealedStream::seal(std::vector<Piece>& pieces, size_t& first) {
  for (;;) {
    while (first < pieces.size() && pieces[first].size() == 0) first++;
    if (first == pieces.size() || sealed_bytes_ + kMaxRecordBytes > kOutputBytes) return;
    Piece& piece = pieces[first];
    const bool alone = is_long(piece) || first + 1 == pieces.size();
    kj::byte* const place = output_.begin() + sealed_bytes_ + kRecordHeaderBytes;
    size_t gathered = 0;
    if (alone) {
      gathered = std::min(piece.size(), kMaxRecordContents);
      seal_one({piece.begin(), gathered});
      piece = piece.slice(gathered, piece.size());
      continue;
    }
    while (first < pieces.size() && gathered < kMaxRecordContents && !is_long(pieces[first])) {
      Piece& next = pieces[first];
      const size_t n = std::min(next.size(), kMaxRecordContents - gathered);
      memcpy(place + gathered, next.begin(), n);
      gathered += n;
      next = next.slice(n, next.size());
      if (next.size() == 0) first++;
    }
    seal_one({place, gathered});
  }
}

void SealedStream::seal_one(std::span<const uint8_t> contents) {
  sealed_bytes_ += value_of(
      sealer_.seal(contents, {output_.begin() + sealed_bytes_, contents.size() + kRecordOverhead}));
}

kj::Promise<void> SealedStream::drained() {
  if (!draining_) {
    if (sealed_bytes_ == 0) return kj::READY_NOW;
    draining_ = true;
    drain_ = drain().fork();
  }
  return KJ_ASSERT_NONNULL(drain_).addBranch();
}

kj::Promise<void> SealedStream::drain() {
  if (sealed_bytes_ == 0) {
    draining_ = false;
    return kj::READY_NOW;
  }
  std::swap(output_, sending_);
  const size_t bytes = std::exchange(sealed_bytes_, 0);
  return kj::evalNow([this, bytes] { return inner_->write(sending_.begin(), bytes); }).then([this] {
    return drain();
  });
}

void SealedStream::shutdownWrite() {
  if (std::exchange(ending_, true)) return;
  end_ = kj::evalNow([this] {
           seal_one({});
           return drained();
         }).then([this] {
             inner_->shutdownWrite();
           }).eagerlyEvaluate([](kj::Exception&&) {});
}

kj::Own<kj::AsyncIoStream> seal_stream(kj::Own<kj::AsyncIoStream> inner, const ChannelKeys& keys) {
  if (keys.cipher == kChannelPlain) return inner;
  const Cipher cipher = static_cast<Cipher>(keys.cipher);
  auto sealer = value_of(RecordSealer::make(cipher, AeadKey(keys.send)));
  auto opener = value_of(RecordOpener::make(cipher, AeadKey(keys.receive)));
  return kj::heap<SealedStream>(kj::mv(inner), std::move(sealer), std::move(opener));
}

}  // namespace om
