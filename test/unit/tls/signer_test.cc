// SPDX-License-Identifier: Apache-2.0
//
// migrator/identity/signer.h, and the files beside it: node_numbers.h, member_book.h.
#include "migrator/identity/signer.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "common/base/version.h"
#include "migrator/identity/identity.h"
#include "migrator/identity/token_seal.h"
#include "test/unit/tls/place.h"

namespace om::migrator {
namespace {

using namespace std::chrono_literals;

const std::string kExporter(kProofInputBytes, 'e');

// A machine with a key.
struct Machine {
  Place place;
  OwnDirectory own = place.own();
  Identity identity = Identity::open(own).value();

  JoinRequest request(const Token& token, const std::string& name,
                      const std::string& exporter = kExporter) const {
    return {kProtocol, token.id, token_proof(token.proof_key(), exporter),
            identity.request(name).value(), "10.0.0.9:4700"};
  }
};

// A signer with number 1, "n1", and what its node knows.
struct Lab {
  explicit Lab(uint32_t number = 1) {
    REQUIRE(ca.save(own).ok());
    signer = Signer::open(own, clock, number).value();
    REQUIRE(signer.has_value());
  }
  void restart(uint32_t number = 1) { signer = Signer::open(own, clock, number).value(); }
  Token token(int uses = 9) { return signer->tokens().create("lab", ca.hash(), 1h, uses).value(); }
  Signer::Answer<Signed> admit(const JoinRequest& request,
                               const std::string& exporter = kExporter) {
    return signer->admit(request, exporter, {members, denied});
  }
  // The code of the refusal; "" if it was let in.
  std::string code(const JoinRequest& request, const std::string& exporter = kExporter) {
    const auto answer = admit(request, exporter);
    return answer ? "" : answer.error().code;
  }

  Place place;
  OwnDirectory own = place.own();
  SystemClock clock;
  ClusterCa ca = ClusterCa::make("lab", clock.wall()).value();
  std::optional<Signer> signer;
  MemberBook members = MemberBook::open(own).value();
  DenyList denied = DenyList::open(own, ca.certificate_pem().value()).value();
};

TEST_CASE("who proves a token gets a certificate and a number") {
  Lab lab;
  const Token token = lab.token();
  const Machine first, second;
  const auto a = lab.admit(first.request(token, "n2"));
  REQUIRE(a.ok());
  CHECK(a->name == "n2");
  CHECK(a->number == 1);
  CHECK(a->id == first.identity.id());
  const Certificate certificate = describe_certificate(a->certificate).value();
  CHECK(certificate.number == 1);
  CHECK(certificate.name == "n2");
  CHECK(certificate.id == first.identity.id());
  CHECK(lab.admit(second.request(token, "n3"))->number == 2);
  CHECK(lab.signer->tokens().list().front().uses_left == 7);
}

TEST_CASE("the same node keeps its number, over restarts as well") {
  Lab lab;
  const Token token = lab.token(1);
  const Machine machine;
  CHECK(lab.admit(machine.request(token, "n2"))->number == 1);
  lab.restart();
  CHECK(lab.admit(machine.request(token, "n2"))->number == 1);
  CHECK(lab.signer->tokens().list().front().uses_left == 0);
  const Machine other;
  CHECK(lab.code(other.request(token, "n3")) == "BAD_TOKEN");
  CHECK(lab.admit(other.request(lab.token(), "n3"))->number == 2);
}

TEST_CASE("what a signer refuses") {
  Lab lab;
  const Token token = lab.token();
  const Machine machine, other;
  REQUIRE(lab.admit(machine.request(token, "n2")).ok());
  const int before = lab.signer->tokens().list().front().uses_left;

  JoinRequest request = other.request(token, "n3");
  request.protocol = (kProtocolMajor + 1) << 16;
  CHECK(lab.code(request) == "VERSION");
  request = other.request(token, "n3");
  request.certificate_request = "nonsense";
  CHECK(lab.code(request) == "BAD_REQUEST");
  request = other.request(token, "n3");
  request.certificate_request[200] = request.certificate_request[200] == 'A' ? 'B' : 'A';
  CHECK(lab.code(request) == "BAD_REQUEST");
  // What somebody has recorded on another connection.
  CHECK(lab.code(other.request(token, "n3"), std::string(kProofInputBytes, 'f')) == "BAD_TOKEN");
  CHECK(lab.code(other.request(token, "n2")) == "NAME_TAKEN");
  CHECK(lab.signer->tokens().list().front().uses_left == before);

  const Token revoked = lab.token();
  REQUIRE(lab.signer->tokens().revoke(revoked.id_text()).value());
  CHECK(lab.code(other.request(revoked, "n3")) == "BAD_TOKEN");
  const auto once = lab.token(1);
  REQUIRE(lab.admit(other.request(once, "n3")).ok());
  const auto late = lab.admit(Machine().request(once, "n4"));
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().message == "the token is used up");
  CHECK(late.error().exit == ExitCode::kRefused);
}

TEST_CASE("names and numbers of members that another signer let in") {
  Lab lab;
  const Token token = lab.token();
  const Machine machine, other;
  REQUIRE(lab.members.learn({"n7", machine.identity.id(), 65537, "10.0.0.7:4700", false}).ok());
  CHECK(lab.code(other.request(token, "n7")) == "NAME_TAKEN");
  CHECK(lab.admit(machine.request(token, "n7"))->number == 65537);
  CHECK(lab.admit(other.request(token, "n8"))->number == 1);
}

TEST_CASE("two signers never give the same number") {
  Lab first, third(3);
  const Machine a, b;
  CHECK(first.admit(a.request(first.token(), "n2"))->number == 1);
  CHECK(third.admit(b.request(third.token(), "n3"))->number == 2 * 65536 + 1);
  Place place;
  const OwnDirectory own = place.own();
  CHECK_FALSE(NodeNumbers::open(own, kMaxSignerNumber + 1).ok());
  CHECK_FALSE(NodeNumbers::open(own, 0).ok());
  const uint64_t last = uint64_t{kMaxSignerNumber - 1} * 65536 + kNumbersOfSigner;
  CHECK(last <= kMaxNodeNumber);
  // The file of one signer is not used by another.
  CHECK_FALSE(NodeNumbers::open(third.own, 4).ok());
}

TEST_CASE("a removed node stays out, and its name is free") {
  Lab lab;
  const Token token = lab.token();
  const Machine machine, reinstalled;
  const auto joined = lab.admit(machine.request(token, "n2"));
  REQUIRE(joined.ok());
  REQUIRE(lab.members.learn({"n2", joined->id, joined->number, "10.0.0.2:4700", false}).ok());
  CHECK(lab.code(reinstalled.request(token, "n2")) == "NAME_TAKEN");
  const Certificate shown = describe_certificate(joined->certificate).value();
  const std::string again = machine.identity.request("n2").value();
  CHECK(lab.signer->renew(shown, again, lab.denied)->number == joined->number);

  const auto entry = lab.signer->remove(joined->id, "n2", "stolen");
  REQUIRE(entry.ok());
  REQUIRE(lab.denied.add(entry->bytes, lab.clock.wall()).value());
  CHECK(lab.code(machine.request(token, "n2")) == "DENIED");
  CHECK(lab.signer->renew(shown, again, lab.denied).error().code == "DENIED");
  // Another number: the old one is not given again, after a restart neither.
  lab.restart();
  CHECK(lab.admit(reinstalled.request(token, "n2"))->number == joined->number + 1);
  CHECK_FALSE(lab.signer->remove(joined->id, "n2", "a\nb").ok());
}

TEST_CASE("a renewal is for the key and the name that were shown") {
  Lab lab;
  const Machine machine, other;
  const auto joined = lab.admit(machine.request(lab.token(), "n2"));
  REQUIRE(joined.ok());
  const Certificate shown = describe_certificate(joined->certificate).value();
  CHECK_FALSE(lab.signer->renew(shown, other.identity.request("n2").value(), lab.denied).ok());
  CHECK_FALSE(lab.signer->renew(shown, machine.identity.request("n3").value(), lab.denied).ok());
  const auto renewed = lab.signer->renew(shown, machine.identity.request("n2").value(), lab.denied);
  REQUIRE(renewed.ok());
  CHECK(renewed->certificate != joined->certificate);
  CHECK(describe_certificate(renewed->certificate)->id == shown.id);
}

TEST_CASE("with no room on the disk nothing is half done") {
  if (::geteuid() == 0) return;
  Lab lab;
  const Token token = lab.token(1);
  const Machine machine, other;
  REQUIRE(::chmod(lab.place.path.c_str(), 0500) == 0);
  const auto answer = lab.admit(machine.request(token, "n2"));
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().exit == ExitCode::kFailure);
  REQUIRE(::chmod(lab.place.path.c_str(), 0700) == 0);
  lab.restart();
  CHECK(lab.signer->numbers().size() == 0);
  CHECK(lab.admit(other.request(token, "n2"))->number == 1);
}

TEST_CASE("a machine without the CA is no signer, and can stop to be one") {
  Lab lab;
  lab.token();
  Place place;
  const OwnDirectory own = place.own();
  CHECK_FALSE(Signer::open(own, lab.clock, 1).value().has_value());
  REQUIRE(Signer::forget(lab.own).ok());
  CHECK_FALSE(lab.own.has("ca.key"));
  CHECK_FALSE(lab.own.has("tokens.json"));
  REQUIRE(Signer::forget(lab.own).ok());
}

TEST_CASE("damaged numbers are refused") {
  Place place;
  const OwnDirectory own = place.own();
  const std::string node = R"({"id":"0011223344556677","name":"n2","number":1})";
  auto file = [&](const std::string& nodes, const std::string& next = "3") {
    return R"({"format":1,"signer":1,"next":)" + next + R"(,"nodes":[)" + nodes + "]}";
  };
  CHECK(parse_numbers(own, file(node)).ok());
  CHECK(parse_numbers(own, file(""))->size() == 0);
  for (const std::string& text :
       {std::string(), std::string("{}"), file(node, "1"), file(node, "0"), file(node, "65537"),
        file(node + "," + node), file("1"),
        file(R"({"id":"0011223344556677","name":"n2","number":3})"),
        file(R"({"id":"0011223344556677","name":"N2","number":1})"),
        file(R"({"id":"0011","name":"n2","number":1})"),
        file(node + R"(,{"id":"1011223344556677","name":"n2","number":2})"),
        file(node + R"(,{"id":"1011223344556677","name":"n3","number":1})")}) {
    CAPTURE(text);
    const auto numbers = parse_numbers(own, text);
    REQUIRE_FALSE(numbers.ok());
    CHECK(numbers.error().err == EBADMSG);
  }
}

TEST_CASE("members are learned once, and survive a restart") {
  Place place;
  const OwnDirectory own = place.own();
  MemberBook book = MemberBook::open(own).value();
  const KnownMember n2{"n2", NodeId{{2}}, 2, "10.0.0.2:4700", false};
  CHECK(book.learn(n2).value());
  CHECK_FALSE(book.learn(n2).value());
  KnownMember moved = n2;
  moved.address = "10.0.0.9:4700";
  moved.signer = true;
  CHECK(book.learn(moved).value());
  KnownMember impostor = n2;
  impostor.id = NodeId{{3}};
  CHECK_FALSE(book.learn(impostor).ok());
  book = MemberBook::open(own).value();
  REQUIRE(book.all().size() == 1);
  CHECK(*book.find("n2") == moved);
  CHECK(book.forget(n2.id).value());
  CHECK_FALSE(book.forget(n2.id).value());
  CHECK(MemberBook::open(own)->all().empty());
  CHECK(book.learn(impostor).value());
}

TEST_CASE("to be examined uses no token") {
  Lab lab;
  const Token token = lab.token(1);
  const Machine machine, other;
  const Signer::Cluster cluster{lab.members, lab.denied};
  const auto node = lab.signer->examine(machine.request(token, "n2"), kExporter, cluster);
  REQUIRE(node.ok());
  CHECK(*node == machine.identity.id());
  CHECK(lab.signer->tokens().list().front().uses_left == 1);
  JoinRequest late = machine.request(token, "n2");
  late.protocol = 0;
  CHECK(lab.signer->examine(late, kExporter, cluster).error().code == "VERSION");
  REQUIRE(lab.admit(machine.request(token, "n2")).ok());
  CHECK(lab.signer->examine(other.request(token, "n3"), kExporter, cluster).error().code ==
        "BAD_TOKEN");
  CHECK(lab.signer->examine(machine.request(token, "n2"), kExporter, cluster).ok());
}

TEST_CASE("shared tokens: sealed for signers, and followed by each of them") {
  Lab lab;
  const Token token = lab.token(2);
  const std::string id = token.id_text();
  TokenStore& store = lab.signer->tokens();
  const TokenSeal seal = TokenSeal::make(lab.ca).value();
  const std::string sealed = seal.seal(id, store.all().at(id)).value();
  CHECK(sealed.find(token.proof_key()) == sealed.npos);
  CHECK(sealed != seal.seal(id, store.all().at(id)).value());
  CHECK(seal.open(id, sealed).value() == store.all().at(id));
  // Another token's, changed, cut, and another cluster's.
  CHECK(seal.open("aaaaaaaa", sealed).error().err == EBADMSG);
  for (size_t at = 0; at < sealed.size(); ++at) {
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    CHECK_FALSE(seal.open(id, changed).ok());
    CHECK_FALSE(seal.open(id, sealed.substr(0, at)).ok());
  }
  const ClusterCa foreign = ClusterCa::make("lab", lab.clock.wall()).value();
  CHECK_FALSE(TokenSeal::make(foreign)->open(id, sealed).ok());
  // A second signer has the CA by its exported text.
  const auto copy =
      ClusterCa::import_text(lab.ca.export_text("correct horse").value(), "correct horse");
  CHECK(TokenSeal::make(copy.value())->open(id, sealed).ok());

  TokenStore::Entry used = seal.open(id, sealed).value();
  NodeId node;
  count_use(used, node);
  count_use(used, node);
  CHECK(used.uses_left == 1);
  REQUIRE(store.mirror(id, used).ok());
  CHECK(store.list().front().uses_left == 1);
  lab.restart();
  CHECK(lab.signer->tokens().all().at(id).shared);
  CHECK(lab.signer->tokens().all().at(id).users == used.users);
  REQUIRE(lab.signer->tokens().mirror(id, std::nullopt).ok());
  CHECK(lab.signer->tokens().list().empty());
}

}  // namespace
}  // namespace om::migrator
