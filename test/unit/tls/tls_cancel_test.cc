// SPDX-License-Identifier: Apache-2.0
//
// common/tls/tls_stream.h: dropped promises, and a connection that changes, cuts and delays bytes.
#include <algorithm>

#include "test/unit/tls/lab.h"

namespace om {
namespace {

using namespace std::chrono_literals;

// What of the bytes that go from one end to the other is changed.
struct Harm {
  size_t flip_at = SIZE_MAX;
  size_t cut_at = SIZE_MAX;
  size_t piece = 65536;
};

// Copies until the end, or until it has cut the connection.
kj::Promise<void> relay(kj::AsyncIoStream& from, kj::AsyncIoStream& to, const Harm& harm,
                        std::vector<kj::byte>& buffer, size_t done) {
  buffer.resize(harm.piece);
  return from.tryRead(buffer.data(), 1, buffer.size())
      .then([&from, &to, &harm, &buffer, done](size_t n) -> kj::Promise<void> {
        if (n == 0 || done + n > harm.cut_at) {
          const size_t rest = n == 0 ? 0 : harm.cut_at - done;
          return to.write(buffer.data(), rest).then([&to] { to.shutdownWrite(); });
        }
        if (harm.flip_at >= done && harm.flip_at < done + n) buffer[harm.flip_at - done] ^= 0x10;
        return to.write(buffer.data(), n).then([&from, &to, &harm, &buffer, done, n] {
          return relay(from, to, harm, buffer, done + n);
        });
      });
}

// A client and a server whose bytes pass a relay; returns what went wrong first on the server's side, or "".
std::string through(World& world, const TlsContext& client, const TlsContext& server,
                    const Harm& to_server, const Harm& to_client) {
  Streams left = world.pair(), right = world.pair();
  std::vector<kj::byte> one, two;
  auto forward = relay(*left[1], *right[0], to_server, one, 0)
                     .catch_([](kj::Exception&&) {})
                     .eagerlyEvaluate(nullptr);
  auto back = relay(*right[0], *left[1], to_client, two, 0)
                  .catch_([](kj::Exception&&) {})
                  .eagerlyEvaluate(nullptr);
  const std::string text(3000, 't');
  std::string got(text.size(), '\0');
  auto talk =
      tls_connect(client, kj::mv(left[0]), std::nullopt, world.after(5s))
          .then([&](kj::Own<TlsStream> stream) {
            auto written = stream->write(text.data(), text.size());
            auto& kept = *stream;
            return written.then([&kept] { return kept.end_writes(); })
                .then([&kept, &got] { return kept.tryRead(got.data(), 1, 1).ignoreResult(); })
                .attach(kj::mv(stream));
          })
          .catch_([](kj::Exception&&) {})
          .eagerlyEvaluate(nullptr);
  auto hear =
      tls_accept(server, kj::mv(right[1]), world.after(5s)).then([&](kj::Own<TlsStream> stream) {
        auto read = stream->read(got.data(), got.size());
        auto& kept = *stream;
        return read.then([&kept, &got] { return kept.tryRead(got.data(), 1, 1); })
            .then([](size_t n) { CHECK(n == 0); })
            .attach(kj::mv(stream));
      });
  return world.outcome(kj::mv(hear));
}

TEST_CASE("a flipped bit anywhere is noticed, before anything of it is read") {
  const Lab lab;
  World world;
  const TlsContext client = lab.node("n1"), server = lab.node("n2");
  CHECK(through(world, client, server, {}, {}) == "");
  // A handshake of the client is about 1000 bytes, the record after it 3000.
  for (size_t at : {5, 8, 50, 300, 600, 900, 1200, 2000, 3500}) {
    CAPTURE(at);
    CHECK(through(world, client, server, {.flip_at = at}, {}) != "");
  }
  for (size_t at : {8, 60, 200, 700}) {
    CAPTURE(at);
    CHECK(through(world, client, server, {}, {.flip_at = at}) != "");
  }
}

TEST_CASE("a connection cut anywhere is an error") {
  const Lab lab;
  World world;
  const TlsContext client = lab.node("n1"), server = lab.node("n2");
  for (size_t at : {0, 1, 5, 100, 400, 900, 1500, 3000, 4000}) {
    CAPTURE(at);
    CHECK(through(world, client, server, {.cut_at = at}, {}).starts_with("DISCONNECTED: "));
  }
  CHECK(through(world, client, server, {}, {.cut_at = 300}).starts_with("DISCONNECTED: "));
}

TEST_CASE("single bytes do as well") {
  const Lab lab;
  World world;
  CHECK(through(world, lab.node("n1"), lab.node("n2"), {.piece = 1}, {.piece = 1}) == "");
}

TEST_CASE("a read that is dropped while it waits loses nothing") {
  const Lab lab;
  for (World::Kind kind : {World::Kind::kUv, World::Kind::kKj}) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    for (size_t size : {1, 100, 5000, 40000, 3}) {
      const std::string text(size, 's');
      char buffer[10];
      {
        auto read = both[1]->tryRead(buffer, 1, sizeof buffer);
        CHECK_FALSE(read.poll(world.scope()));
      }
      auto write = both[0]->write(text.data(), text.size());
      CHECK(read_text(world, *both[1], size) == text);
      write.wait(world.scope());
    }
  }
}

TEST_CASE("a read that is dropped at any moment does not harm the next one") {
  const Lab lab;
  for (World::Kind kind : {World::Kind::kUv, World::Kind::kKj}) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    const std::string sent(400'000, 'x');
    auto write = both[0]
                     ->write(sent.data(), sent.size())
                     .then([&] { return both[0]->end_writes(); })
                     .eagerlyEvaluate(nullptr);
    size_t got = 0, n = 1;
    char buffer[977];
    for (int turn = 0; n > 0; ++turn) {
      auto read = both[1]->tryRead(buffer, 1, sizeof buffer);
      if (turn % 3 != 0) {
        n = read.wait(world.scope());
        got += n;
        CHECK(std::count(buffer, buffer + n, 'x') == static_cast<ptrdiff_t>(n));
      } else {
        // Some turns of the loop, and then away with it, done or not: what it had taken is gone.
        auto started = read.eagerlyEvaluate(nullptr);
        for (int i = 0; i < turn % 7; ++i) kj::evalLater([] {}).wait(world.scope());
      }
    }
    CHECK(got > sent.size() / 2);
    CHECK(got <= sent.size());
    write.wait(world.scope());
  }
}

TEST_CASE("a dropped write does not harm the next one") {
  const Lab lab;
  for (World::Kind kind : {World::Kind::kUv, World::Kind::kKj}) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    const std::string large(4 << 20, 'x');
    {
      auto copy = std::make_unique<std::string>(large);
      auto write = both[0]->write(copy->data(), copy->size()).eagerlyEvaluate(nullptr);
      for (int i = 0; i < 20; ++i) kj::evalLater([] {}).wait(world.scope());
      // Neither the promise nor the text exists from here on.
    }
    auto next = both[0]
                    ->write("END", 3)
                    .then([&] { return both[0]->end_writes(); })
                    .eagerlyEvaluate(nullptr);
    std::string got(large.size() + 100, '\0');
    got.resize(both[1]->tryRead(got.data(), got.size(), got.size()).wait(world.scope()));
    REQUIRE(got.size() >= 3);
    CHECK(got.ends_with("xEND"));
    CHECK(got.find_first_not_of('x') == got.size() - 3);
    next.wait(world.scope());
  }
}

TEST_CASE("a stream may go while its writes and reads are under way") {
  const Lab lab;
  World world;
  for (int i = 0; i < 10; ++i) {
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    const std::string large(1 << 20, 'x');
    char buffer[100];
    auto write = both[0]->write(large.data(), large.size()).eagerlyEvaluate(nullptr);
    auto read = both[0]->tryRead(buffer, 1, sizeof buffer).eagerlyEvaluate(nullptr);
    for (int turn = 0; turn < i; ++turn) kj::evalLater([] {}).wait(world.scope());
    { const auto dropped = kj::mv(write); }
    { const auto dropped = kj::mv(read); }
    both[0] = nullptr;
    char byte;
    std::string outcome;
    while (outcome.empty()) outcome = world.outcome(both[1]->read(&byte, 1));
    CHECK(outcome.starts_with("DISCONNECTED: "));
  }
  // A handshake that is given up.
  Streams ends = world.pair();
  {
    const auto dropped = tls_connect(lab.node("n1"), kj::mv(ends[0]), std::nullopt, kj::NEVER_DONE);
    kj::evalLater([] {}).wait(world.scope());
  }
  CHECK(world.outcome(tls_accept(lab.node("n2"), kj::mv(ends[1]), world.after(World::kLong))) !=
        "");
}

}  // namespace
}  // namespace om
