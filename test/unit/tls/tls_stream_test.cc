// SPDX-License-Identifier: Apache-2.0
//
// common/tls/tls_stream.h between peers that believe each other, on both loops.
#include "common/tls/tls_stream.h"

#include <kj/vector.h>

#include "common/net/stream_over.h"
#include "test/unit/tls/lab.h"

namespace om {
namespace {

const World::Kind kWorlds[] = {World::Kind::kUv, World::Kind::kKj};

// `size` bytes that are not all the same.
std::string pattern(size_t size, uint32_t seed) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return text;
}

TEST_CASE("two nodes know each other, and have the same secrets") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    const TlsEngine& client = both[0]->session();
    const TlsEngine& server = both[1]->session();
    REQUIRE(client.peer());
    REQUIRE(server.peer());
    CHECK(client.peer()->name == "n2");
    CHECK(server.peer()->name == "n1");
    CHECK(server.peer()->number == 3);
    CHECK(server.peer()->id != client.peer()->id);
    CHECK(node_id_of(server.peer()->public_key) == server.peer()->id);
    CHECK(client.protocol() == TlsProtocol::kNode);
    CHECK(server.protocol() == TlsProtocol::kNode);
    const auto secret = client.exporter("EXPORTER-a", 32);
    CHECK(secret->size() == 32);
    CHECK(*secret == server.exporter("EXPORTER-a", 32).value());
    CHECK(*secret != server.exporter("EXPORTER-b", 32).value());
    const TlsStreams others = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    CHECK(*secret != others[0]->session().exporter("EXPORTER-a", 32).value());
    CHECK(client.ca_pem().value() == lab.ca.certificate_pem().value());
  }
}

TEST_CASE("a megabyte each way at once") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    std::array<std::string, 2> sent{pattern(1 << 20, 1), pattern((1 << 20) + 7, 2)};
    std::array<std::string, 2> got{std::string(sent[1].size(), '\0'),
                                   std::string(sent[0].size(), '\0')};
    kj::Vector<kj::Promise<void>> all;
    for (size_t i = 0; i < 2; ++i) {
      all.add(both[i]->write(sent[i].data(), sent[i].size()));
      all.add(both[i]->read(got[i].data(), got[i].size()));
    }
    kj::joinPromises(all.releaseAsArray()).wait(world.scope());
    CHECK(got[0] == sent[1]);
    CHECK(got[1] == sent[0]);
  }
}

TEST_CASE("pieces of every size arrive in order") {
  const Lab lab;
  World world;
  TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
  std::string all;
  std::vector<std::string> texts;
  for (size_t size : {1, 0, 2, 100, 16383, 0, 16384, 16385, 70000, 5, 200000, 1, 0}) {
    texts.push_back(pattern(size, static_cast<uint32_t>(size) + 3));
    all += texts.back();
  }
  std::vector<kj::ArrayPtr<const kj::byte>> pieces;
  for (const std::string& text : texts)
    pieces.emplace_back(reinterpret_cast<const kj::byte*>(text.data()), text.size());
  auto write = both[0]->write(kj::arrayPtr(pieces.data(), pieces.size()));
  CHECK(read_text(world, *both[1], all.size()) == all);
  write.wait(world.scope());
  // A read takes what there is, at least the minimum.
  both[0]->write("abcdef", 6).wait(world.scope());
  std::string some(100, '\0');
  CHECK(both[1]->tryRead(some.data(), 4, 100).wait(world.scope()) == 6);
  CHECK(some.substr(0, 6) == "abcdef");
  both[0]->write("abcdef", 6).wait(world.scope());
  CHECK(both[1]->tryRead(some.data(), 1, 2).wait(world.scope()) == 2);
  CHECK(both[1]->tryRead(some.data(), 1, 100).wait(world.scope()) == 4);
  CHECK(both[1]->tryRead(some.data(), 0, 100).wait(world.scope()) == 0);
  CHECK(both[1]->tryRead(some.data(), 0, 0).wait(world.scope()) == 0);
}

TEST_CASE("each direction ends by itself") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    both[0]->write("question", 8).wait(world.scope());
    both[0]->end_writes().wait(world.scope());
    CHECK(read_text(world, *both[1], 100) == "question");
    CHECK(read_text(world, *both[1], 100).empty());
    both[1]->write("answer", 6).wait(world.scope());
    both[1]->shutdownWrite();
    CHECK(read_text(world, *both[0], 100) == "answer");
    CHECK(read_text(world, *both[0], 100).empty());
  }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // as in stream_over.h
// Counts the writes that reach the stream below.
class Counted final : public StreamOver {
 public:
  Counted(Stream inner, int& writes) : StreamOver(kj::mv(inner)), writes_(writes) {}
  kj::Promise<size_t> tryRead(void* buffer, size_t least, size_t most) override {
    return inner_->tryRead(buffer, least, most);
  }
  kj::Promise<void> write(const void* buffer, size_t size) override {
    ++writes_;
    return inner_->write(buffer, size);
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    ++writes_;
    return inner_->write(pieces);
  }

 private:
  int& writes_;
};
#pragma GCC diagnostic pop

TEST_CASE("short texts that follow each other leave together, even if the stream is dropped then") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    int writes = 0;
    Streams pair = world.pair();
    pair[0] = kj::heap<Counted>(kj::mv(pair[0]), writes);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), kj::mv(pair));
    writes = 0;
    both[0]->write("one", 3).wait(world.scope());
    both[0]->write("two", 3).wait(world.scope());
    CHECK(read_text(world, *both[1], 6) == "onetwo");
    CHECK(writes == 1);
    both[0]->write("three", 5).wait(world.scope());
    both[0] = nullptr;
    CHECK(read_text(world, *both[1], 5) == "three");
    CHECK(writes == 2);
  }
}

TEST_CASE("that the other end has gone is told to a later writer") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    both[1] = nullptr;
    const std::string text = pattern(1000, 1);
    std::string outcome;
    for (int i = 0; i < 1000 && outcome.rfind("DISCONNECTED", 0) != 0; ++i)
      outcome = world.outcome(both[0]->write(text.data(), text.size()));
    CHECK(outcome.rfind("DISCONNECTED", 0) == 0);
    CHECK(world.outcome(both[0]->write(text.data(), 1)).rfind("DISCONNECTED", 0) == 0);
  }
}

TEST_CASE("an end without a good-bye is an error") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    TlsStreams both = world.shake(lab.node("n1"), lab.node("n2"), world.pair());
    both[0]->write("half of a", 9).wait(world.scope());
    both[0] = nullptr;
    char text[100];
    CHECK(world.outcome(both[1]->tryRead(text, 10, 100)) ==
          "DISCONNECTED: TLS: the connection was cut off");
  }
}

TEST_CASE("a machine that joins shows no certificate and checks the CA by its hash") {
  const Lab lab;
  for (World::Kind kind : kWorlds) {
    World world(kind);
    const TlsContext joiner = TlsContext::joiner(lab.ca.hash()).value();
    TlsStreams both = world.shake(joiner, lab.node("n2"), world.pair());
    CHECK(both[0]->session().protocol() == TlsProtocol::kJoin);
    CHECK(both[1]->session().protocol() == TlsProtocol::kJoin);
    CHECK_FALSE(both[1]->session().peer());
    CHECK(both[0]->session().peer()->name == "n2");
    CHECK(both[0]->session().ca_pem().value() == lab.ca.certificate_pem().value());
    CHECK(both[0]->session().exporter("EXPORTER-a", 32).value() ==
          both[1]->session().exporter("EXPORTER-a", 32).value());
    both[0]->write("csr", 3).wait(world.scope());
    CHECK(read_text(world, *both[1], 3) == "csr");
  }
}

}  // namespace
}  // namespace om
