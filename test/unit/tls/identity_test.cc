// SPDX-License-Identifier: Apache-2.0
//
// migrator/identity/identity.h, migrator/identity/cluster_ca.h and common/tls/certificate.h.
#include "migrator/identity/identity.h"

#include <errno.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/hex.h"
#include "migrator/identity/cluster_ca.h"
#include "test/unit/tls/place.h"

namespace om::migrator {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

TEST_CASE("a node's key is made once and stays") {
  Place place;
  const OwnDirectory own = place.own();
  const auto first = Identity::open(own);
  REQUIRE(first.ok());
  CHECK(mode_of(place.at("node.key")) == 0600);
  const std::string text = place.read("node.key");
  CHECK(text.starts_with("-----BEGIN PRIVATE KEY-----"));
  const auto again = Identity::open(own);
  REQUIRE(again.ok());
  CHECK(again->id() == first->id());
  CHECK(place.read("node.key") == text);
  CHECK(first->id().text().size() == 16);
  Place other;
  const auto different = Identity::open(other.own());
  REQUIRE(different.ok());
  CHECK(different->id() != first->id());
  // No draft is left.
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(place.path)) {
    static_cast<void>(entry);
    ++files;
  }
  CHECK(files == 1);
}

TEST_CASE("a key that others may use is refused and left alone") {
  Place place;
  const OwnDirectory own = place.own();
  REQUIRE(Identity::open(own).ok());
  const std::string text = place.read("node.key");
  for (mode_t mode : {0640, 0604, 0644, 0660, 0610}) {
    CAPTURE(mode);
    REQUIRE(::chmod(place.at("node.key").c_str(), mode) == 0);
    const auto refused = Identity::open(own);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().err == EPERM);
    CHECK(refused.error().text().find("node.key may be ") != std::string::npos);
    CHECK(place.read("node.key") == text);
  }
  REQUIRE(::chmod(place.at("node.key").c_str(), 0600) == 0);
  CHECK(Identity::open(own).ok());
  if (::geteuid() != 0) return;  // only root can make a file of somebody else's
  REQUIRE(::chown(place.at("node.key").c_str(), 12345, 0) == 0);
  CHECK(Identity::open(own).error().text().find("belongs to another user") != std::string::npos);
}

TEST_CASE("what is no key is refused with a line, not replaced") {
  Place place;
  const OwnDirectory own = place.own();
  for (const char* text :
       {"", "nonsense\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}) {
    CAPTURE(text);
    place.write("node.key", text);
    REQUIRE(::chmod(place.at("node.key").c_str(), 0600) == 0);
    CHECK(Identity::open(own).error().text() ==
          place.path + "/node.key has no key that can be read");
    CHECK(place.read("node.key") == text);
  }
  const KeyPtr key(::EVP_EC_gen("P-384"));
  place.write("node.key", key_to_pem(key.get()).value());
  CHECK(Identity::open(own).error().text().find("another kind of key") != std::string::npos);
  std::filesystem::remove(place.at("node.key"));
  REQUIRE(::symlink("/etc/passwd", place.at("node.key").c_str()) == 0);
  CHECK(Identity::open(own).error().text().find("is a link") != std::string::npos);
}

TEST_CASE("a directory that cannot be written gives no identity") {
  if (::geteuid() == 0) return;
  Place place;
  REQUIRE(::chmod(place.path.c_str(), 0500) == 0);
  CHECK(Identity::open(place.own()).error().err == EACCES);
  REQUIRE(::chmod(place.path.c_str(), 0700) == 0);
}

TEST_CASE("where state is") {
  CHECK(default_state_path(0).value() == "/var/lib/om");
  REQUIRE(::setenv("HOME", "/home/a", 1) == 0);
  REQUIRE(::setenv("XDG_STATE_HOME", "/s", 1) == 0);
  CHECK(default_state_path(7).value() == "/s/om");
  REQUIRE(::setenv("XDG_STATE_HOME", "relative", 1) == 0);
  CHECK(default_state_path(7).value() == "/home/a/.local/state/om");
  REQUIRE(::unsetenv("HOME") == 0);
  CHECK_FALSE(default_state_path(7).ok());
}

TEST_CASE("a certificate says who a node is") {
  Place place;
  const Identity node = Identity::open(place.own()).value();
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const auto pem = ca.sign(node.request("pc1").value(), "pc1", 7, kNow);
  REQUIRE(pem.ok());
  const Certificate read = describe_certificate(*pem).value();
  CHECK(read.name == "pc1");
  CHECK(read.id == node.id());
  CHECK(node_id_of(read.public_key) == node.id());
  CHECK(read.number == 7);
  CHECK(read.not_before == kNow - 5min);
  CHECK(read.not_after == kNow + std::chrono::hours(24 * 30));
  CHECK_FALSE(renewal_due(read, kNow));
  CHECK_FALSE(renewal_due(read, kNow + std::chrono::hours(24 * 20 - 1)));
  CHECK(renewal_due(read, kNow + std::chrono::hours(24 * 20)));
  // The same node later: same id and number, another serial number.
  const Certificate next =
      describe_certificate(ca.sign(node.request("pc1").value(), "pc1", 7, kNow).value()).value();
  CHECK(next.id == read.id);
  CHECK(next.number == 7);
  CHECK(next.der != read.der);
  const auto largest = ca.sign(node.request("pc1").value(), "pc1", kMaxNodeNumber, kNow);
  CHECK(describe_certificate(largest.value())->number == kMaxNodeNumber);
  // The CA itself is no node: its certificate has no alternative name.
  CHECK_FALSE(describe_certificate(ca.certificate_pem().value()).ok());
}

TEST_CASE("a signer checks what it signs") {
  Place place;
  const Identity node = Identity::open(place.own()).value();
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const std::string good = node.request("pc1").value();
  const auto why = [&](std::string_view request, const std::string& name, uint32_t number,
                       WallTime now) {
    auto signed_one = ca.sign(request, name, number, now);
    return signed_one ? std::string("signed") : signed_one.error().text();
  };
  CHECK(why(good, "pc1", 1, kNow) == "signed");
  CHECK(why(good, "pc2", 1, kNow) == "the request asks for another name than pc2");
  CHECK(why(good, "*.x", 1, kNow) == "\"*.x\" is no node name");
  CHECK(why(good, "home", 1, kNow) == "\"home\" is no node name");
  CHECK(why(good, "pc1", 0, kNow) == "a node's number out of range");
  CHECK(why(good, "pc1", kMaxNodeNumber + 1, kNow) == "a node's number out of range");
  CHECK(why("", "pc1", 1, kNow) == "the request cannot be read");
  CHECK(why(std::string(5000, 'x'), "pc1", 1, kNow) == "the request is too long");
  CHECK(why(good, "pc1", 1, kNow + kCaLife) ==
        "the cluster's CA ends before the new certificate would");
  // Somebody else's key with this node's signature.
  const BioPtr bio = bio_of(good);
  const X509RequestPtr request(::PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  const KeyPtr other = make_key().value();
  REQUIRE(::X509_REQ_set_pubkey(request.get(), other.get()) == 1);
  const auto as_text = [&] {
    const BioPtr out(::BIO_new(::BIO_s_mem()));
    REQUIRE(::PEM_write_bio_X509_REQ(out.get(), request.get()) == 1);
    return text_of(out.get());
  };
  CHECK(why(as_text(), "pc1", 1, kNow) == "the request is not signed by its key");
  const KeyPtr big(::EVP_EC_gen("P-384"));
  REQUIRE(::X509_REQ_set_pubkey(request.get(), big.get()) == 1);
  REQUIRE(::X509_REQ_sign(request.get(), big.get(), ::EVP_sha256()) > 0);
  CHECK(why(as_text(), "pc1", 1, kNow) == "the request is for another kind of key than P-256");
  CHECK_FALSE(node.request("Not A Name").ok());
}

TEST_CASE("the CA is one private file") {
  Place place;
  const OwnDirectory own = place.own();
  CHECK(ClusterCa::open(own).error().err == ENOENT);
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  REQUIRE(ca.save(own).ok());
  CHECK(mode_of(place.at("ca.key")) == 0600);
  const auto read = ClusterCa::open(own);
  REQUIRE(read.ok());
  CHECK(read->hash() == ca.hash());
  CHECK(read->cluster() == "lab");
  CHECK(ClusterCa::make("lab", kNow)->save(own).error().err == EEXIST);
  CHECK(ClusterCa::open(own)->hash() == ca.hash());
  REQUIRE(::chmod(place.at("ca.key").c_str(), 0640) == 0);
  CHECK(ClusterCa::open(own).error().err == EPERM);
  CHECK_FALSE(ClusterCa::make("No Name", kNow).ok());
}

TEST_CASE("another machine becomes a signer by passphrase") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  CHECK_FALSE(ca.export_text("short").ok());
  const auto text = ca.export_text("correct horse");
  REQUIRE(text.ok());
  CHECK(text->find("BEGIN ENCRYPTED PRIVATE KEY") != std::string::npos);
  const auto same = ClusterCa::import_text(*text, "correct horse");
  REQUIRE(same.ok());
  CHECK(same->hash() == ca.hash());
  CHECK(same->cluster() == "lab");
  for (const char* wrong : {"correct hors", "", "correct horse "}) {
    CHECK(ClusterCa::import_text(*text, wrong).error().text() ==
          "the passphrase is wrong, or the file is damaged");
  }
  CHECK_FALSE(ClusterCa::import_text(text->substr(0, text->size() / 2), "correct horse").ok());
  CHECK_FALSE(ClusterCa::import_text("", "correct horse").ok());
  // The key of one with the certificate of another.
  const ClusterCa other = ClusterCa::make("lab", kNow).value();
  const std::string mixed =
      text->substr(0, text->find("-----BEGIN CERT")) + other.certificate_pem().value();
  CHECK(ClusterCa::import_text(mixed, "correct horse").error().text() ==
        "the CA's key does not belong to its certificate");
}

}  // namespace
}  // namespace om::migrator
