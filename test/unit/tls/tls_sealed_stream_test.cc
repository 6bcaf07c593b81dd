// SPDX-License-Identifier: Apache-2.0
//
// common/tls/sealed_stream.h: everything arrives however it is cut into pieces; what was changed, cut, repeated or
// moved on the way does not.
#include "common/tls/sealed_stream.h"

#include <doctest/doctest.h>
#include <kj/io.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

namespace om {
namespace {

using Stream = kj::Own<kj::AsyncIoStream>;
using Bytes = std::vector<kj::byte>;

ChannelKeys keys_of(bool dialler, uint32_t cipher = kChannelAes256Gcm) {
  ChannelKeys keys{};
  keys.cipher = cipher;
  const uint8_t one = 1, two = 2;
  std::fill(std::begin(keys.send), std::end(keys.send), dialler ? one : two);
  std::fill(std::begin(keys.receive), std::end(keys.receive), dialler ? two : one);
  return keys;
}

Bytes some_bytes(size_t count) {
  Bytes bytes(count);
  uint32_t state = 1;
  for (auto& byte : bytes)
    byte = static_cast<kj::byte>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

struct World {
  kj::AsyncIoContext io = kj::setupAsyncIo();

  std::pair<Stream, Stream> pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    auto wrap = [&](int fd) { return io.lowLevelProvider->wrapSocketFd(kj::AutoCloseFd(fd)); };
    return {wrap(ends[0]), wrap(ends[1])};
  }
  // What became of it: "", or the type of the exception.
  template <class T>
  std::string outcome(kj::Promise<T> promise) {
    const auto failed = kj::runCatchingExceptions([&] { promise.wait(io.waitScope); });
    KJ_IF_MAYBE (exception, failed) {
      return exception->getType() == kj::Exception::Type::DISCONNECTED ? "DISCONNECTED" : "FAILED";
    }
    return "";
  }
  // The contents that arrive of these records, until their end.
  std::string outcome_of(const Bytes& records, Bytes& got) {
    auto [raw, other] = pair();
    auto reader = seal_stream(kj::mv(other), keys_of(false));
    auto written = raw->write(records.data(), records.size())
                       .then([&raw_end = *raw] { raw_end.shutdownWrite(); })
                       .eagerlyEvaluate(nullptr);
    return outcome(reader->readAllBytes().then(
        [&](kj::Array<kj::byte> all) { got.assign(all.begin(), all.end()); }));
  }
};

// Records of a dialler with these contents.
struct Maker {
  RecordSealer sealer = RecordSealer::make(Cipher::kAes256Gcm, AeadKey(keys_of(true).send)).value();

  Bytes operator()(const Bytes& contents) {
    Bytes record(contents.size() + kRecordOverhead);
    REQUIRE(sealer.seal(contents, record).ok());
    return record;
  }
};

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

TEST_CASE("what is written arrives, in pieces of any size, both ways, with both ciphers") {
  World world;
  for (uint32_t cipher : {kChannelAes256Gcm, kChannelChaCha20Poly1305}) {
    auto [left, right] = world.pair();
    Stream ends[] = {seal_stream(kj::mv(left), keys_of(true, cipher)),
                     seal_stream(kj::mv(right), keys_of(false, cipher))};
    const Bytes all = some_bytes(3 << 20);
    for (int from : {0, 1}) {
      for (size_t piece : {size_t{1}, size_t{100}, kMaxRecordContents, kMaxRecordContents + 1,
                           size_t{1} << 20, all.size()}) {
        CAPTURE(piece);
        const size_t total = std::min(all.size(), 50 * piece);
        Bytes got(total);
        auto read = ends[1 - from]->read(got.data(), total);
        for (size_t at = 0; at < total; at += piece)
          ends[from]->write(all.data() + at, std::min(piece, total - at)).wait(world.io.waitScope);
        read.wait(world.io.waitScope);
        CHECK(std::equal(got.begin(), got.end(), all.begin()));
      }
    }
  }
}

TEST_CASE("a read that wants little gets the rest of a record later") {
  World world;
  auto [left, right] = world.pair();
  auto writer = seal_stream(kj::mv(left), keys_of(true));
  auto reader = seal_stream(kj::mv(right), keys_of(false));
  const Bytes all = some_bytes(10000);
  const kj::ArrayPtr<const kj::byte> pieces[] = {
      {all.data(), 16}, {all.data() + 16, size_t{0}}, {all.data() + 16, all.size() - 16}};
  writer->write(kj::arrayPtr(pieces, 3)).wait(world.io.waitScope);
  Bytes got;
  while (got.size() < all.size()) {
    kj::byte buffer[7];
    const size_t n = reader->tryRead(buffer, 1, sizeof buffer).wait(world.io.waitScope);
    REQUIRE(n > 0);
    got.insert(got.end(), buffer, buffer + n);
  }
  CHECK(got == all);
}

TEST_CASE("the end of a direction is told, and the other goes on") {
  World world;
  auto [left, right] = world.pair();
  auto one = seal_stream(kj::mv(left), keys_of(true));
  auto two = seal_stream(kj::mv(right), keys_of(false));
  one->write("last", 4).wait(world.io.waitScope);
  one->shutdownWrite();
  one->shutdownWrite();  // as some do
  CHECK(two->readAllText().wait(world.io.waitScope) == "last");
  two->write("still", 5).wait(world.io.waitScope);
  kj::byte got[5];
  one->read(got, 5).wait(world.io.waitScope);
  CHECK(std::equal(got, got + 5, "still"));
}

TEST_CASE("nothing of the contents is on the wire") {
  World world;
  auto [left, right] = world.pair();
  auto writer = seal_stream(kj::mv(left), keys_of(true));
  const std::string marker = "MARKER-MARKER-MARKER";
  writer->write(marker.data(), marker.size()).wait(world.io.waitScope);
  std::string seen(marker.size() + kRecordOverhead, '\0');
  right->read(seen.data(), seen.size()).wait(world.io.waitScope);
  CHECK(seen.find("MARKER") == seen.npos);
  const ChannelKeys none{};
  auto [a, b] = world.pair();
  auto plain = seal_stream(kj::mv(a), none);
  plain->write(marker.data(), marker.size()).wait(world.io.waitScope);
  b->read(seen.data(), marker.size()).wait(world.io.waitScope);
  CHECK(seen.substr(0, marker.size()) == marker);
}

TEST_CASE("a flipped bit anywhere is noticed, and nothing of its record is read") {
  World world;
  Maker make;
  Bytes good = make(some_bytes(40));
  append(good, make(some_bytes(60)));
  append(good, make({}));
  Bytes got;
  CHECK(world.outcome_of(good, got) == "");
  CHECK(got.size() == 100);
  for (size_t at = 0; at < good.size(); at++) {
    CAPTURE(at);
    Bytes changed = good;
    changed[at] = static_cast<kj::byte>(changed[at] ^ 1 << at % 8);
    got.clear();
    CHECK(world.outcome_of(changed, got) != "");
    CHECK(got.empty());
  }
}

TEST_CASE("a connection cut anywhere is an error") {
  World world;
  Maker make;
  Bytes good = make(some_bytes(40));
  append(good, make({}));
  for (size_t size = 0; size < good.size(); size++) {
    CAPTURE(size);
    Bytes got;
    CHECK(world.outcome_of({good.begin(), good.begin() + static_cast<ptrdiff_t>(size)}, got) ==
          "DISCONNECTED");
  }
}

TEST_CASE("records that are repeated, left out or exchanged do not open") {
  World world;
  Maker make;
  const Bytes one = make(some_bytes(10)), two = make(some_bytes(10)), end = make({});
  auto outcome = [&](std::initializer_list<const Bytes*> records) {
    Bytes all, got;
    for (const Bytes* record : records) append(all, *record);
    return world.outcome_of(all, got);
  };
  CHECK(outcome({&one, &two, &end}) == "");
  CHECK(outcome({&one, &one, &two, &end}) == "FAILED");
  CHECK(outcome({&two, &one, &end}) == "FAILED");
  CHECK(outcome({&one, &end}) == "FAILED");
  CHECK(outcome({&end}) == "FAILED");
}

TEST_CASE("an impossible length is refused before anything of it is awaited") {
  World world;
  auto [raw, other] = world.pair();
  auto reader = seal_stream(kj::mv(other), keys_of(false));
  const uint32_t length = kMaxRecordContents + 1;
  raw->write(&length, sizeof length).wait(world.io.waitScope);
  kj::byte byte;
  CHECK(world.outcome(reader->tryRead(&byte, 1, 1)) == "FAILED");
}

TEST_CASE("dropped reads and writes leave the connection whole") {
  World world;
  auto [left, right] = world.pair();
  auto writer = seal_stream(kj::mv(left), keys_of(true));
  auto reader = seal_stream(kj::mv(right), keys_of(false));
  kj::byte got[4096];
  { auto dropped = reader->tryRead(got, 1, sizeof got); }
  // More than the socket takes at once: a part of it is under way when the writer gives up.
  const Bytes much = some_bytes(8 << 20);
  size_t before = 0;
  { auto dropped = writer->write(much.data(), much.size()); }
  auto more = writer->write("END", 3).eagerlyEvaluate(nullptr);
  for (std::string tail; !tail.ends_with("END");) {
    const size_t n = reader->tryRead(got, 1, sizeof got).wait(world.io.waitScope);
    REQUIRE(n > 0);
    tail = (tail + std::string(reinterpret_cast<char*>(got), n));
    tail.erase(0, tail.size() - std::min<size_t>(tail.size(), 3));
    before += n;
  }
  CHECK(before <= much.size() + 3);
  more.wait(world.io.waitScope);
}

}  // namespace
}  // namespace om
