// SPDX-License-Identifier: Apache-2.0
//
// common/tls/tls_stream.h: who is refused, on which side, and with which line.
#include <openssl/err.h>

#include "test/unit/tls/lab.h"

namespace om {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

struct Outcome {
  std::string client;  // of the handshake, or of the first read after it
  std::string server;
};

// One handshake; each side closes its connection after an error.
Outcome meet(World& world, const TlsContext& client, const TlsContext& server,
             std::optional<std::string> expected = std::nullopt) {
  Streams ends = world.pair();
  kj::Maybe<kj::Own<TlsStream>> accepted;
  auto serving = tls_accept(server, kj::mv(ends[1]), world.after(World::kLong))
                     .then([&](kj::Own<TlsStream> stream) {
                       auto text = stream->write("hello", 5);
                       accepted = kj::mv(stream);
                       return text;
                     });
  char byte[5];
  auto asking = tls_connect(client, kj::mv(ends[0]), std::move(expected), world.after(World::kLong))
                    .then([&](kj::Own<TlsStream> stream) {
                      auto read = stream->read(byte, 5);
                      return read.attach(kj::mv(stream));
                    });
  Outcome out;
  const auto note = [&](std::string& where) {
    return [&where](kj::Exception&& e) {
      const bool gone = e.getType() == kj::Exception::Type::DISCONNECTED;
      where = (gone ? "DISCONNECTED: " : "FAILED: ") + std::string(e.getDescription().cStr());
    };
  };
  serving = serving.catch_(note(out.server)).eagerlyEvaluate(nullptr);
  asking = asking.catch_(note(out.client)).eagerlyEvaluate(nullptr);
  serving.wait(world.scope());
  asking.wait(world.scope());
  CHECK(::ERR_peek_error() == 0);
  return out;
}

TEST_CASE("another cluster's CA, on either side") {
  const Lab lab, other;
  for (World::Kind kind : {World::Kind::kUv, World::Kind::kKj}) {
    World world(kind);
    CHECK(meet(world, lab.node("n1"), lab.node("n2")).server == "");
    Outcome out = meet(world, other.node("n1"), lab.node("n2"));
    CHECK(out.client.starts_with("FAILED: TLS: the peer's certificate: "));
    // A client of another CA that believes this one.
    TlsCredentials mixed = other.credentials("n1");
    mixed.ca_pem = lab.ca.certificate_pem().value();
    out = meet(world, TlsContext::member(mixed).value(), lab.node("n2"));
    CHECK(out.client == "FAILED: TLS: refused by the peer: unknown ca");
    CHECK(out.server.starts_with("FAILED: TLS: the peer's certificate: "));
    // A server of another CA.
    out = meet(world, lab.node("n1"), TlsContext::member(mixed).value());
    CHECK(out.client.starts_with("FAILED: TLS: the peer's certificate: "));
    CHECK(out.server == "FAILED: TLS: refused by the peer: unknown ca");
  }
}

TEST_CASE("another name than expected") {
  const Lab lab;
  World world;
  CHECK(meet(world, lab.node("n1"), lab.node("n2"), "n2").client == "");
  for (const char* name : {"n3", "n", "n22", "*", ""}) {
    CAPTURE(name);
    const Outcome out = meet(world, lab.node("n1"), lab.node("n2"), name);
    CHECK(out.client != "");
    CHECK(out.server != "");
  }
  CHECK(meet(world, lab.node("n1"), lab.node("n2"), "n3").client ==
        "FAILED: TLS: the peer's certificate: hostname mismatch");
}

TEST_CASE("expired, and not yet valid, on either side") {
  const auto now = system_clock::now();
  const Lab lab("lab", now - 24h * 365);
  World world;
  const TlsContext good = lab.node("n1");
  const TlsContext expired = lab.node("n2", now - migrator::kCertificateLife - 1s);
  const TlsContext early = lab.node("n3", now + 6min);
  Outcome out = meet(world, good, expired);
  CHECK(out.client == "FAILED: TLS: the peer's certificate: certificate has expired");
  CHECK(out.server == "FAILED: TLS: refused by the peer: certificate expired");
  out = meet(world, expired, good);
  CHECK(out.client == "FAILED: TLS: refused by the peer: certificate expired");
  CHECK(out.server == "FAILED: TLS: the peer's certificate: certificate has expired");
  CHECK(meet(world, good, early).client ==
        "FAILED: TLS: the peer's certificate: certificate is not yet valid");
  CHECK(meet(world, early, good).server ==
        "FAILED: TLS: the peer's certificate: certificate is not yet valid");
  // Signed by a signer whose clock is four minutes early.
  CHECK(meet(world, lab.node("n4", now + 4min), good).server == "");
}

TEST_CASE("only a machine that joins needs no certificate") {
  const Lab lab, other;
  World world;
  // A client that shows none and asks for om/2.
  const TlsContext bare = TlsContext::joiner(lab.ca.hash()).value();
  const unsigned char offer[] = "\x04om/2";
  REQUIRE(::SSL_CTX_set_alpn_protos(bare.raw(), offer, 5) == 0);
  Outcome out = meet(world, bare, lab.node("n2"));
  CHECK(out.server == "FAILED: TLS: peer did not return a certificate");
  CHECK(out.client != "");
  // The wrong CA: the token is for another cluster.
  out = meet(world, TlsContext::joiner(other.ca.hash()).value(), lab.node("n2"));
  CHECK(out.client.starts_with("FAILED: TLS: the peer's certificate: "));
  CHECK(out.server.starts_with("FAILED: TLS: refused by the peer: "));
  CHECK_FALSE(TlsContext::joiner("short").ok());
}

TEST_CASE("another protocol, none, or another version of TLS") {
  const Lab lab;
  World world;
  const TlsContext other = lab.node("n1");
  const unsigned char offer[] = "\x04om/3\x08http/1.1";
  REQUIRE(::SSL_CTX_set_alpn_protos(other.raw(), offer, sizeof offer - 1) == 0);
  Outcome out = meet(world, other, lab.node("n2"));
  CHECK(out.client == "FAILED: TLS: refused by the peer: no application protocol");
  CHECK(out.server == "FAILED: TLS: no application protocol");
  const TlsContext none = lab.node("n1");
  REQUIRE(::SSL_CTX_set_alpn_protos(none.raw(), nullptr, 0) == 0);
  out = meet(world, none, lab.node("n2"));
  CHECK(out.server == "FAILED: TLS: the peer does not speak om/2");
  CHECK(out.client != "");
  // A server that ignores what is asked for.
  const TlsContext deaf = lab.node("n2");
  ::SSL_CTX_set_alpn_select_cb(deaf.raw(), nullptr, nullptr);
  CHECK(meet(world, lab.node("n1"), deaf).client == "FAILED: TLS: the peer does not speak om/2");
  const TlsContext old = lab.node("n1");
  REQUIRE(::SSL_CTX_set_min_proto_version(old.raw(), TLS1_2_VERSION) == 1);
  REQUIRE(::SSL_CTX_set_max_proto_version(old.raw(), TLS1_2_VERSION) == 1);
  out = meet(world, old, lab.node("n2"));
  CHECK(out.client != "");
  CHECK(out.server != "");
}

TEST_CASE("a node's certificate is no CA, and one CA is not another's node") {
  const Lab lab;
  const TlsCredentials node = lab.credentials("n1");
  // A member makes a certificate for somebody else with its own: refused, for it may sign nothing.
  TlsCredentials wrong = lab.credentials("n2");
  wrong.key_pem = node.key_pem;
  CHECK_FALSE(TlsContext::member(wrong).ok());
  for (std::string TlsCredentials::*part :
       {&TlsCredentials::certificate_pem, &TlsCredentials::key_pem, &TlsCredentials::ca_pem}) {
    for (const char* text : {"", "nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n"}) {
      TlsCredentials bad = node;
      bad.*part = text;
      CHECK_FALSE(TlsContext::member(bad).ok());
    }
  }
  CHECK(::ERR_peek_error() == 0);
}

TEST_CASE("a peer that does not speak TLS") {
  const Lab lab;
  World world;
  for (const std::string& text :
       {std::string("GET / HTTP/1.0\r\n\r\n"), std::string(100, '\0'), std::string(70000, 'x')}) {
    Streams ends = world.pair();
    auto accepted = tls_accept(lab.node("n2"), kj::mv(ends[1]), world.after(World::kLong));
    auto write = ends[0]->write(text.data(), text.size()).catch_([](kj::Exception&&) {});
    CHECK(world.outcome(kj::mv(accepted)).starts_with("FAILED: TLS: "));
    ends = world.pair();
    auto connected =
        tls_connect(lab.node("n1"), kj::mv(ends[0]), std::nullopt, world.after(World::kLong));
    auto answer = ends[1]->write(text.data(), text.size()).catch_([](kj::Exception&&) {});
    CHECK(world.outcome(kj::mv(connected)).starts_with("FAILED: TLS: "));
  }
}

TEST_CASE("a silent peer, and one that hangs up") {
  const Lab lab;
  for (World::Kind kind : {World::Kind::kUv, World::Kind::kKj}) {
    World world(kind);
    Streams ends = world.pair();
    CHECK(world.outcome(tls_accept(lab.node("n2"), kj::mv(ends[1]), world.after(20ms))) ==
          "DISCONNECTED: TLS: the handshake took too long");
    ends = world.pair();
    CHECK(world.outcome(tls_connect(lab.node("n1"), kj::mv(ends[0]), "n2", world.after(20ms))) ==
          "DISCONNECTED: TLS: the handshake took too long");
    ends = world.pair();
    auto accepted = tls_accept(lab.node("n2"), kj::mv(ends[1]), world.after(World::kLong));
    ends[0]->shutdownWrite();
    CHECK(world.outcome(kj::mv(accepted)) ==
          "DISCONNECTED: TLS: the peer has hung up during the handshake");
  }
}

}  // namespace
}  // namespace om
