// SPDX-License-Identifier: Apache-2.0
//
// deputy/session/link.h: who may take the place of a connection that is there, and that nobody else gets an answer.
#include "deputy/session/link.h"

#include <doctest/doctest.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/tls/sealed_stream.h"

using namespace om;
using namespace om::deputy;

namespace {

constexpr SessionTerms kTerms{{1, 2, 3}, {4, 5, 6}};

using Stream = kj::Own<kj::AsyncIoStream>;

struct World {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  Link link;
  Pass pass = Pass::make(kTerms, kPartyKeeper, kPartyDeputy).value();
  std::vector<uint64_t> remembered;
  bool remembers = true;

  explicit World(LinkWire wire = LinkWire::kSealed, uint64_t floor = 0)
      : link(io, {*Address::parse("127.0.0.1", 0), {}}, wire) {
    link.expect(kTerms, kFirstMember, floor, [this](uint64_t attempt) {
      remembered.push_back(attempt);
      return remembers;
    });
  }

  Stream connect() {
    auto address = io.provider->getNetwork().parseAddress("127.0.0.1", link.port());
    return address.wait(io.waitScope)->connect().wait(io.waitScope);
  }
  Preamble preamble(Pass::To to, uint64_t attempt, SessionCipher cipher = Cipher::kAes256Gcm) {
    return pass.preamble(to, attempt, cipher).value();
  }
  Stream say(const Preamble& preamble) {
    Stream stream = connect();
    stream->write(&preamble, sizeof preamble).wait(io.waitScope);
    return stream;
  }
  // The listener has dropped it, without a word.
  bool is_dropped(Stream& stream) {
    char byte;
    size_t n = 1;
    kj::runCatchingExceptions([&] { n = stream->tryRead(&byte, 1, 1).wait(io.waitScope); });
    return n == 0;
  }
  // The keeper's end of a connection that the listener has taken.
  Stream seal(const Preamble& preamble, Stream stream) {
    return seal_stream(kj::mv(stream), pass.keys(preamble, Pass::End::kDialler).value());
  }
  bool talk(Stream& keeper, Stream& deputy) {
    keeper->write("ping", 4).wait(io.waitScope);
    char got[4];
    deputy->read(got, 4).wait(io.waitScope);
    return memcmp(got, "ping", 4) == 0;
  }
};

TEST_CASE("a proven connection is taken, and what it says is sealed") {
  World world;
  const Preamble session = world.preamble({kPreambleSession}, 1);
  Stream keeper = world.seal(session, world.say(session));
  Stream deputy = world.link.session().wait(world.io.waitScope);
  CHECK(world.talk(keeper, deputy));
  CHECK(world.remembered == std::vector<uint64_t>{1});
}

TEST_CASE("nobody else gets an answer, or is remembered") {
  World world;
  Preamble forged = world.preamble({kPreambleSession}, 1);
  forged.attempt = 2;
  Stream stream = world.say(forged);
  CHECK(world.is_dropped(stream));
  const Preamble plain = world.preamble({kPreambleSession}, 1, std::nullopt);
  stream = world.say(plain);
  CHECK(world.is_dropped(stream));
  stream = world.connect();
  stream->write(&plain, sizeof plain - 1).wait(world.io.waitScope);
  stream->shutdownWrite();
  CHECK(world.is_dropped(stream));
  CHECK(world.remembered.empty());
  CHECK_FALSE(world.link.has_session());
}

TEST_CASE("what is said again changes nothing") {
  World world;
  const Preamble channel = world.preamble({kPreambleChannel, kFirstMember, 0, 1}, 2),
                 session = world.preamble({kPreambleSession}, 1);
  Stream first = world.say(channel);
  world.link.wait_for_channels(1).wait(world.io.waitScope);
  Stream keeper = world.seal(session, world.say(session));
  Stream deputy = world.link.session().wait(world.io.waitScope);
  for (const Preamble& old :
       {channel, session, world.preamble({kPreambleChannel, kFirstMember, 0, 1}, 1)}) {
    Stream again = world.say(old);
    CHECK(world.is_dropped(again));
  }
  CHECK(world.talk(keeper, deputy));
  CHECK(world.link.channels().is_any_connected());
  ChannelEnd end = world.link.channels().take(0);
  REQUIRE(end.fd.valid());
  first->write("x", 1).wait(world.io.waitScope);
  char byte = 0;
  CHECK(::read(end.fd.get(), &byte, 1) == 1);
  CHECK(byte == 'x');
}

TEST_CASE("a newer one takes its place") {
  World world;
  Stream first = world.say(world.preamble({kPreambleChannel, kFirstMember, 0, 1}, 2));
  world.link.wait_for_channels(1).wait(world.io.waitScope);
  Stream second = world.say(world.preamble({kPreambleChannel, kFirstMember, 0, 1}, 7));
  CHECK(world.is_dropped(first));
  CHECK(world.remembered == std::vector<uint64_t>{2, 7});
}

TEST_CASE("a connection that the process cannot remember is not used") {
  World world;
  world.remembers = false;
  Stream stream = world.say(world.preamble({kPreambleSession}, 1));
  CHECK(world.is_dropped(stream));
  CHECK_FALSE(world.link.has_session());
}

TEST_CASE("a deputy that takes over takes no number that the last one may have taken") {
  World world(LinkWire::kSealed, 4);
  Stream old = world.say(world.preamble({kPreambleSession}, 4));
  CHECK(world.is_dropped(old));
  const Preamble session = world.preamble({kPreambleSession}, 5);
  Stream keeper = world.seal(session, world.say(session));
  Stream deputy = world.link.session().wait(world.io.waitScope);
  CHECK(world.talk(keeper, deputy));
}

TEST_CASE("where nothing is encrypted connections are proven all the same") {
  World world(LinkWire::kPlain);
  Stream sealed = world.say(world.preamble({kPreambleSession}, 1));
  CHECK(world.is_dropped(sealed));
  Stream keeper = world.say(world.preamble({kPreambleSession}, 2, std::nullopt));
  Stream deputy = world.link.session().wait(world.io.waitScope);
  CHECK(world.talk(keeper, deputy));
  Stream again = world.say(world.preamble({kPreambleSession}, 2, std::nullopt));
  CHECK(world.is_dropped(again));
}

TEST_CASE("one port of a range, or none while all are taken") {
  auto io = kj::setupAsyncIo();
  const Address here = *Address::parse("127.0.0.1", 0);
  auto holder = kj::heap<Link>(io, Link::Place{here, {}}, LinkWire::kPlain);
  const uint16_t port = holder->port();
  Link link(io, {here, {port, port}}, LinkWire::kPlain);
  CHECK(link.port() == 0);
  REQUIRE_FALSE(link.listen().ok());
  CHECK(link.listen().error().code == ReasonCode::kFull);
  holder = nullptr;
  CHECK(link.listen().ok());
  CHECK(link.port() == port);
  Address taken = here;
  taken.set_port(port);
  CHECK_THROWS(Link(io, {taken, {}}, LinkWire::kPlain));
}

}  // namespace
