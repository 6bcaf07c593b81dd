// SPDX-License-Identifier: Apache-2.0
//
// migrator/cluster/join_talk.h: joins between two ends of a TLS connection, and peers that misbehave.
#include "migrator/cluster/join_talk.h"

#include <sys/socket.h>

#include "common/base/version.h"
#include "migrator/identity/failures.h"
#include "migrator/identity/signer.h"
#include "test/unit/tls/lab.h"

namespace om {
namespace {

using namespace std::chrono_literals;
using namespace om::migrator;

// A cluster with one member, which signs and listens on a loopback address.
struct Site {
  Lab lab;
  TlsContext server = lab.node("n1");
  Place place;
  OwnDirectory own = place.own();
  SystemClock clock;
  std::optional<Signer> signer;
  MemberBook members = MemberBook::open(own).value();
  DenyList denied = DenyList::open(own, lab.ca.certificate_pem().value()).value();

  Site() {
    REQUIRE(lab.ca.save(own).ok());
    signer = Signer::open(own, clock, 1).value();
  }
  Token token(int uses = 1) {
    return signer->tokens().create("lab", lab.ca.hash(), 1h, uses).value();
  }
  JoinAnswer judge(const JoinRequest& request, const std::string& exporter) {
    JoinAnswer answer;
    auto admitted = signer->admit(request, exporter, {members, denied});
    answer.ok = admitted.ok();
    if (!admitted) {
      answer.failure = admitted.error();
    } else {
      answer.certificate = admitted->certificate;
      answer.group_key = GroupKey::make(1).value();
      answer.members = {{"n1", NodeId{{1}}, 1, "127.0.0.1:4700", true}};
    }
    return answer;
  }
};

// Both ends on one loop.
struct Talk {
  Loop loop;
  UvKj kj{loop};
  UniqueFd listener;
  Address address = Address::parse("127.0.0.1:0").value();

  Talk() {
    listener = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener.get(), address.raw(), address.raw_size()) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0);
    address = Address::from_sockaddr(bound).value();
  }
  kj::Own<kj::AsyncIoStream> accept() {
    UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(socket);
    return wrap_socket(kj, std::move(socket));
  }
  // As the daemon does it.
  kj::Promise<void> serve(Site& site) {
    return tls_accept(site.server, accept(), kj.after(5s))
        .then([this, &site](kj::Own<TlsStream> stream) {
          CHECK(stream->session().protocol() == TlsProtocol::kJoin);
          return serve_joiner(kj, kj::mv(stream),
                              [&site](const JoinRequest& request, const std::string& exporter) {
                                return site.judge(request, exporter);
                              });
        });
  }
  kj::Promise<JoinReply> ask(const Token& token, const Identity& identity,
                             const char* name = "n2") {
    return ask_to_join(kj, address, address, token, identity.request(name).value(),
                       "127.0.0.1:4701");
  }
  // What the joiner learns; the server's own failure does not matter.
  JoinReply join(Site& site, const Token& token, const Identity& identity,
                 const char* name = "n2") {
    auto asked = ask(token, identity, name);
    auto served = serve(site).eagerlyEvaluate([](kj::Exception&&) {});
    return asked.wait(kj.wait_scope());
  }
};

struct Machine {
  Place place;
  Identity identity = Identity::open(place.own()).value();
};

TEST_CASE("a machine joins by a token") {
  Site site;
  Talk talk;
  const Machine machine, other;
  const Token token = site.token();
  const JoinReply reply = talk.join(site, token, machine.identity);
  REQUIRE(reply.answer.ok);
  CHECK(reply.ca_pem == site.lab.ca.certificate_pem().value());
  CHECK(describe_certificate(reply.answer.certificate)->id == machine.identity.id());
  CHECK(reply.answer.members.front().signer);
  CHECK(reply.answer.group_key.bytes.size() == kGroupKeyBytes);
  // The certificate is good for a connection.
  CHECK(TlsContext::member(
            {reply.answer.certificate, machine.identity.key_pem().value(), reply.ca_pem})
            .ok());
  const JoinReply late = talk.join(site, token, other.identity, "n3");
  CHECK_FALSE(late.answer.ok);
  CHECK(late.answer.failure.code == "BAD_TOKEN");
}

TEST_CASE("a join that broke off is repeated with the same result") {
  Site site;
  Talk talk;
  const Machine machine;
  const Token token = site.token();
  {
    // The signer counts, and then its answer is lost.
    auto asked = talk.ask(token, machine.identity);
    auto served =
        tls_accept(site.server, talk.accept(), talk.kj.after(5s))
            .then([&](kj::Own<TlsStream> stream) {
              return serve_joiner(
                  talk.kj, kj::mv(stream),
                  [&](const JoinRequest& request, const std::string& exporter) -> JoinAnswer {
                    CHECK(site.judge(request, exporter).ok);
                    kj::throwFatalException(KJ_EXCEPTION(FAILED, "killed"));
                  });
            })
            .eagerlyEvaluate([](kj::Exception&&) {});
    CHECK_THROWS(asked.wait(talk.kj.wait_scope()));
  }
  site.signer = Signer::open(site.own, site.clock, 1).value();
  const JoinReply reply = talk.join(site, token, machine.identity);
  REQUIRE(reply.answer.ok);
  CHECK(describe_certificate(reply.answer.certificate)->number == 1);
  CHECK(site.signer->tokens().list().front().uses_left == 0);
  CHECK(site.signer->numbers().size() == 1);
}

TEST_CASE("another cluster's node is not believed, and learns nothing") {
  Site site, other;
  Talk talk;
  const Machine machine;
  auto asked = talk.ask(site.token(), machine.identity);
  bool judged = false;
  auto served = tls_accept(other.server, talk.accept(), talk.kj.after(5s))
                    .then([&](kj::Own<TlsStream> stream) {
                      return serve_joiner(talk.kj, kj::mv(stream),
                                          [&](const JoinRequest&, const std::string&) {
                                            judged = true;
                                            return JoinAnswer{};
                                          });
                    })
                    .eagerlyEvaluate([](kj::Exception&&) {});
  CHECK_THROWS(asked.wait(talk.kj.wait_scope()));
  CHECK_FALSE(judged);
}

// Sends `text` as a joiner would; what the server answers.
std::string say(Talk& talk, Site& site, const std::string& text) {
  std::string answer(4096, '\0');
  auto said =
      connect_tcp(talk.kj, talk.address, talk.address)
          .then([&](kj::Own<kj::AsyncIoStream> stream) {
            return tls_connect(TlsContext::joiner(site.lab.ca.hash()).value(), kj::mv(stream),
                               std::nullopt, talk.kj.after(5s));
          })
          .then([&](kj::Own<TlsStream> stream) {
            auto sent = stream->write(text.data(), text.size());
            auto& raw = *stream;
            return sent
                .then([&answer, &raw] { return raw.tryRead(answer.data(), 1, answer.size()); })
                .attach(kj::mv(stream));
          });
  auto served = talk.serve(site).eagerlyEvaluate([](kj::Exception&&) {});
  answer.resize(said.wait(talk.kj.wait_scope()));
  return answer;
}

TEST_CASE("nonsense is answered once, and too much of it as well") {
  Site site;
  Talk talk;
  const std::string long_line(kMaxJoinRequest + 5000, 'x');
  for (const std::string& text : {std::string("{}\n"), std::string("GET / HTTP/1.1\r\n"), long_line,
                                  std::string("{}\n{}\n"), std::string("{\"protocol\":1e99}\n")}) {
    const std::string line = say(talk, site, text);
    REQUIRE(line.ends_with("\n"));
    const auto answer = parse_join_answer(line.substr(0, line.size() - 1));
    REQUIRE(answer.ok());
    CHECK_FALSE(answer->ok);
    CHECK(answer->failure.code == "BAD_REQUEST");
  }
}

TEST_CASE("messages are what they were") {
  const Machine machine;
  const JoinRequest request{kProtocol, "12345", std::string(32, '\x80'),
                            machine.identity.request("n2").value(), "[::1]:4700"};
  std::string line = to_line(request);
  line.pop_back();
  const auto read = parse_join_request(line);
  REQUIRE(read.ok());
  CHECK(to_line(*read) == to_line(request));
  JoinAnswer refusal;
  refusal.failure = refused(ReasonCode::kNoSigner, "ask n1");
  refusal.signers = {"10.0.0.1:4700", "[fe80::1]:4700"};
  line = to_line(refusal);
  line.pop_back();
  CHECK(parse_join_answer(line)->signers == refusal.signers);
  for (const char* wrong :
       {"", "{}", "{\"ok\":true}", "{\"ok\":false,\"code\":\"x\",\"exit\":6,\"message\":\"\"}",
        "{\"ok\":false,\"code\":\"\",\"exit\":0,\"message\":\"\"}",
        "{\"ok\":false,\"code\":\"\",\"exit\":1,\"message\":\"\",\"signers\":[\"name:1\"]}"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_join_answer(wrong).ok());
    CHECK_FALSE(parse_join_request(wrong).ok());
  }
}

}  // namespace
}  // namespace om
