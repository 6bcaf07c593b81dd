// SPDX-License-Identifier: Apache-2.0
//
// migrator/identity/token.h and migrator/identity/token_store.h.
#include "migrator/identity/token.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "common/base/hex.h"
#include "migrator/identity/token_store.h"
#include "test/unit/tls/place.h"

namespace om::migrator {
namespace {

using namespace std::chrono_literals;
using Answer = TokenStore::Answer;

const std::string kCaHash(32, 'c');
const std::string kExporter(32, 'e');

std::string proof(const Token& token, const std::string& exporter = kExporter) {
  return token_proof(token.proof_key(), exporter);
}

// Each time by another node.
Result<Answer> redeem(TokenStore& store, std::string_view id, std::string_view proof,
                      std::string_view exporter) {
  static uint8_t last = 0;
  NodeId node;
  node.bytes[0] = ++last;
  return store.redeem(id, proof, exporter, node);
}

TEST_CASE("base32 as in RFC 4648") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "my"},
                                                         {"fo", "mzxq"},
                                                         {"foo", "mzxw6"},
                                                         {"foob", "mzxw6yq"},
                                                         {"fooba", "mzxw6ytb"},
                                                         {"foobar", "mzxw6ytboi"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(to_base32(bytes) == text);
    CHECK(from_base32(text).value() == bytes);
  }
  for (const char* wrong : {"m", "mz1q", "MY", "mz=", "mz", "mzx", "mzxw6y", "my "}) {
    CAPTURE(wrong);
    CHECK_FALSE(from_base32(wrong).ok());
  }
}

TEST_CASE("a token is one line") {
  const Token token = Token::make("lab", kCaHash).value();
  const std::string text = token.text();
  CHECK(text.starts_with("lab." + token.id_text()));
  CHECK(token.id_text().size() == 8);
  for (const std::string& given : {text, "  " + text + "\n"}) {
    const auto read = Token::parse(given);
    REQUIRE(read.ok());
    CHECK(read->cluster == "lab");
    CHECK(read->id == token.id);
    CHECK(read->secret == token.secret);
    CHECK(read->ca_hash == kCaHash);
  }
  CHECK(Token::make("lab", kCaHash)->text() != text);
  CHECK_FALSE(Token::make("LAB", kCaHash).ok());
  CHECK_FALSE(Token::make("lab", "short").ok());
}

TEST_CASE("a mistyped token is noticed, and not repeated in the error") {
  const std::string text = Token::make("lab", kCaHash)->text();
  for (size_t i = 0; i < text.size(); ++i) {
    std::string wrong = text;
    wrong[i] = wrong[i] == 'q' ? 'r' : 'q';
    const auto read = Token::parse(wrong);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().text().find(text.substr(4, 8)) == std::string::npos);
  }
  for (const std::string& wrong :
       {std::string(), std::string("lab"), std::string("lab."), text.substr(0, text.size() - 1),
        text + "a", "." + text.substr(4), "home" + text.substr(3), text.substr(0, 50)}) {
    CAPTURE(wrong);
    CHECK_FALSE(Token::parse(wrong).ok());
  }
}

TEST_CASE("a proof is an HMAC-SHA256 with the hash of the secret") {
  // python3 -c "import hashlib, hmac; i = bytes(range(5)); s = bytes(range(16, 32));
  //   k = hashlib.sha256(b'openmosix token ' + i + s).digest(); print(k.hex());
  //   print(hmac.new(k, b'e' * 32, 'sha256').hexdigest())"
  Token token{"lab", {}, {}, kCaHash};
  for (char c = 0; c < 5; ++c) token.id += c;
  for (char c = 16; c < 32; ++c) token.secret += c;
  CHECK(to_hex(token.proof_key()) ==
        "08b172e960ad6016eb0681bb9c546ebefc1c1376014ff502b3be7a330f898167");
  CHECK(to_hex(proof(token)) == "703cd80f645e33b6119beebd1b28e2be466c92a8975f0fa84b9cbe3151640d80");
}

TEST_CASE("a token is good for its uses and its time") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  TokenStore store = TokenStore::open(own, clock).value();
  const Token token = store.create("lab", kCaHash, 1h, 2).value();
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kRight);
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kRight);
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kUsedUp);
  const Token second = store.create("lab", kCaHash, 1h, 1).value();
  clock.advance(59min);
  CHECK(store.list().size() == 2);
  clock.advance(1min);
  CHECK(redeem(store, second.id, proof(second), kExporter).value() == Answer::kExpired);
  // A new one makes room.
  REQUIRE(store.create("lab", kCaHash, 1h, 1).ok());
  CHECK(store.list().size() == 1);
}

TEST_CASE("a proof belongs to one connection and one token") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  TokenStore store = TokenStore::open(own, clock).value();
  const Token token = store.create("lab", kCaHash, 1h, 9).value();
  const Token other = store.create("lab", kCaHash, 1h, 9).value();
  CHECK(redeem(store, token.id, proof(token), std::string(32, 'f')).value() == Answer::kWrong);
  CHECK(redeem(store, token.id, proof(other), kExporter).value() == Answer::kWrong);
  CHECK(redeem(store, "12345", proof(token), kExporter).value() == Answer::kWrong);
  CHECK(redeem(store, "", "", "").value() == Answer::kWrong);
  CHECK(redeem(store, token.id, "", kExporter).value() == Answer::kWrong);
  CHECK(redeem(store, token.id, proof(token, ""), "").value() == Answer::kWrong);
  CHECK(redeem(store, other.id, proof(other), kExporter).value() == Answer::kRight);
}

TEST_CASE("a node that comes again is not counted again") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  std::optional<TokenStore> store = TokenStore::open(own, clock).value();
  const Token token = store->create("lab", kCaHash, 1h, 1).value();
  const NodeId node{{1}}, other{{2}};
  auto check = [&](const NodeId& who) {
    return store->check(token.id, proof(token), kExporter, who);
  };
  CHECK(check(node) == Answer::kRight);
  CHECK(check(other) == Answer::kRight);
  CHECK(store->list().front().uses_left == 1);
  CHECK(store->redeem(token.id, proof(token), kExporter, node).value() == Answer::kRight);
  CHECK(check(other) == Answer::kUsedUp);
  CHECK(store->redeem(token.id, proof(token), kExporter, other).value() == Answer::kUsedUp);
  CHECK(store->redeem(token.id, proof(token), kExporter, node).value() == Answer::kRight);
  store.emplace(TokenStore::open(own, clock).value());
  CHECK(store->redeem(token.id, proof(token), kExporter, node).value() == Answer::kRight);
  CHECK(check(other) == Answer::kUsedUp);
  CHECK(store->list().front().uses_left == 0);
  clock.advance(1h);
  CHECK(check(node) == Answer::kExpired);
  REQUIRE(store->revoke(token.id_text()).value());
  CHECK(check(node) == Answer::kWrong);
}

TEST_CASE("the last users of a token are remembered") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  TokenStore store = TokenStore::open(own, clock).value();
  const Token token = store.create("lab", kCaHash, 1h, 1000).value();
  for (size_t i = 0; i < kMaxRememberedUses + 1; ++i) {
    const NodeId node{1000 + static_cast<uint64_t>(i)};
    REQUIRE(store.redeem(token.id, proof(token), kExporter, node).value() == Answer::kRight);
  }
  const int before = store.list().front().uses_left;
  CHECK(store.redeem(token.id, proof(token), kExporter, NodeId{1001}).ok());
  CHECK(store.list().front().uses_left == before);
  CHECK(store.redeem(token.id, proof(token), kExporter, NodeId{1000}).ok());
  CHECK(store.list().front().uses_left == before - 1);
  CHECK(TokenStore::open(own, clock)->list().front().uses_left == before - 1);
}

TEST_CASE("five wrong proofs lock a token for a minute") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  TokenStore store = TokenStore::open(own, clock).value();
  const Token token = store.create("lab", kCaHash, 1h, 9).value();
  const Token other = store.create("lab", kCaHash, 1h, 9).value();
  const std::string wrong(32, 'w');
  for (int i = 0; i < 4; ++i)
    CHECK(redeem(store, token.id, wrong, kExporter).value() == Answer::kWrong);
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kRight);
  for (int i = 0; i < 5; ++i)
    CHECK(redeem(store, token.id, wrong, kExporter).value() == Answer::kWrong);
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kLocked);
  CHECK(redeem(store, other.id, proof(other), kExporter).value() == Answer::kRight);
  clock.advance(59s);
  CHECK(redeem(store, token.id, wrong, kExporter).value() == Answer::kLocked);
  clock.advance(1s);
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kRight);
  CHECK(store.list().front().uses_left + store.list().back().uses_left == 15);
}

TEST_CASE("tokens survive a restart, without their secrets") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  std::optional<TokenStore> store = TokenStore::open(own, clock).value();
  const Token token = store->create("lab", kCaHash, 1h, 2).value();
  const Token gone = store->create("lab", kCaHash, 1h, 2).value();
  CHECK(store->revoke(gone.id_text()).value());
  CHECK_FALSE(store->revoke(gone.id_text()).value());
  CHECK(redeem(*store, token.id, proof(token), kExporter).value() == Answer::kRight);
  const std::string file = place.read("tokens.json");
  CHECK(file.find(token.id_text()) != std::string::npos);
  CHECK(file.find(to_hex(token.secret)) == std::string::npos);
  struct stat info {};
  REQUIRE(::stat(place.at("tokens.json").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  store.emplace(TokenStore::open(own, clock).value());
  CHECK(store->list().size() == 1);
  CHECK(redeem(*store, gone.id, proof(gone), kExporter).value() == Answer::kWrong);
  CHECK(redeem(*store, token.id, proof(token), kExporter).value() == Answer::kRight);
  CHECK(redeem(*store, token.id, proof(token), kExporter).value() == Answer::kUsedUp);
  REQUIRE(::chmod(place.at("tokens.json").c_str(), 0644) == 0);
  CHECK(TokenStore::open(own, clock).error().err == EPERM);
}

TEST_CASE("a use that cannot be written does not count") {
  if (::geteuid() == 0) return;
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  TokenStore store = TokenStore::open(own, clock).value();
  const Token token = store.create("lab", kCaHash, 1h, 1).value();
  REQUIRE(::chmod(place.path.c_str(), 0500) == 0);
  CHECK(redeem(store, token.id, proof(token), kExporter).error().err == EACCES);
  CHECK_FALSE(store.create("lab", kCaHash, 1h, 1).ok());
  CHECK_FALSE(store.revoke(token.id_text()).ok());
  REQUIRE(::chmod(place.path.c_str(), 0700) == 0);
  CHECK(redeem(store, token.id, proof(token), kExporter).value() == Answer::kRight);
}

TEST_CASE("limits and damaged files") {
  Place place;
  const OwnDirectory own = place.own();
  FakeClock clock;
  TokenStore store = TokenStore::open(own, clock).value();
  CHECK_FALSE(store.create("lab", kCaHash, 0s, 1).ok());
  CHECK_FALSE(store.create("lab", kCaHash, kMaxTokenLife + 1s, 1).ok());
  CHECK_FALSE(store.create("lab", kCaHash, 1h, 0).ok());
  CHECK_FALSE(store.create("lab", kCaHash, 1h, kMaxTokenUses + 1).ok());
  for (size_t i = 0; i < kMaxTokens; ++i) REQUIRE(store.create("lab", kCaHash, 1h, 1).ok());
  CHECK_FALSE(store.create("lab", kCaHash, 1h, 1).ok());
  CHECK(TokenStore::open(own, clock)->list().size() == kMaxTokens);
  for (const char* text :
       {"", "{}", "[]", "{\"format\":2,\"tokens\":[]}", "{\"format\":1,\"tokens\":[1]}",
        "{\"format\":1,\"tokens\":[{\"id\":\"aaaaaaaa\",\"proof_key\":\"00\",\"expires\":1,"
        "\"uses_left\":1}]}"}) {
    CAPTURE(text);
    CHECK(parse_tokens(text).error().err == EBADMSG);
  }
}

}  // namespace
}  // namespace om::migrator
