// SPDX-License-Identifier: Apache-2.0
//
// migrator/identity/credentials.h and migrator/identity/cluster_files.h.
#include "migrator/identity/credentials.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/identity.h"
#include "test/unit/tls/place.h"

namespace om::migrator {
namespace {

constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};
constexpr const char* kFiles[] = {"node.crt", "ca.crt", "group.key", "cluster.json"};

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

// A node with a key of its own, and what a signer gives it.
struct Node {
  Place place;
  OwnDirectory own = place.own();
  Identity identity = Identity::open(own).value();
  std::string key_pem = identity.key_pem().value();

  Credentials::Parts parts(const ClusterCa& ca, const char* name = "pc1",
                           uint32_t number = 7) const {
    return {ca.sign(identity.request(name).value(), name, number, kNow).value(),
            ca.certificate_pem().value(),
            GroupKey::make(4).value(),
            {ca.cluster(), kNow, {{"pc2", "10.0.0.2:4700"}, {"", "pc3.lan:4700"}}}};
  }
  Credentials credentials(const ClusterCa& ca) const {
    return Credentials::make(parts(ca), key_pem).value();
  }
  std::string why() const {
    auto read = Credentials::open(own);
    return read ? (*read ? "a member" : "none") : read.error().text();
  }
  size_t files() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(place.path)) {
      static_cast<void>(entry);
      ++count;
    }
    return count;
  }
};

TEST_CASE("what is saved is read again") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const Node node;
  CHECK(node.why() == "none");
  const Credentials made = node.credentials(ca);
  REQUIRE(made.save(node.own).ok());
  CHECK(node.files() == 5);  // with the key
  CHECK(mode_of(node.place.at("node.crt")) == 0644);
  CHECK(mode_of(node.place.at("ca.crt")) == 0644);
  CHECK(mode_of(node.place.at("group.key")) == 0600);
  CHECK(mode_of(node.place.at("cluster.json")) == 0644);
  const Credentials read = Credentials::open(node.own).value().value();
  CHECK(read.name() == "pc1");
  CHECK(read.id() == node.identity.id());
  CHECK(read.number() == 7);
  CHECK(read.cluster() == "lab");
  CHECK(read.cluster_id() == ca.hash());
  CHECK(read.info() == made.info());
  CHECK(read.info().contacts.size() == 2);
  CHECK(read.group_key() == made.group_key());
  CHECK(read.tls().key_pem == node.key_pem);
  CHECK(read.tls().certificate_pem == made.tls().certificate_pem);
  CHECK(read.tls().ca_pem == ca.certificate_pem().value());
  CHECK(read.certificate().not_after == kNow + kCertificateLife);
}

TEST_CASE("half a join is no join") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  for (const char* missing : kFiles) {
    CAPTURE(missing);
    const Node node;
    REQUIRE(node.credentials(ca).save(node.own).ok());
    std::filesystem::remove(node.place.at(missing));
    if (std::string(missing) == "node.crt") {
      CHECK(node.why() == "none");
    } else {
      CHECK(node.why() == node.place.at(missing) + " is missing beside node.crt");
    }
  }
}

TEST_CASE("files of others, or that others may use, are refused") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const Node node;
  REQUIRE(node.credentials(ca).save(node.own).ok());
  for (const char* name : {"node.crt", "ca.crt", "group.key", "cluster.json", "node.key"}) {
    CAPTURE(name);
    const std::string path = node.place.at(name);
    const mode_t before = mode_of(path);
    REQUIRE(::chmod(path.c_str(), 0666) == 0);
    CHECK(node.why().starts_with(path + " may be written by other users"));
    if (before == 0600) {
      REQUIRE(::chmod(path.c_str(), 0640) == 0);
      CHECK(node.why().starts_with(path + " may be read by other users"));
    }
    REQUIRE(::chmod(path.c_str(), before) == 0);
    CHECK(node.why() == "a member");
    if (::geteuid() != 0) continue;  // only root can give files away
    REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
    CHECK(node.why().starts_with(path + " belongs to another user"));
    REQUIRE(::chown(path.c_str(), 0, 0) == 0);
  }
}

TEST_CASE("files that do not belong together") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const ClusterCa other = ClusterCa::make("lab", kNow).value();
  const Node node, stranger;
  const auto why = [&](Credentials::Parts parts, std::string key = {}) {
    auto made = Credentials::make(std::move(parts), key.empty() ? node.key_pem : std::move(key));
    return made ? std::string("fine") : made.error().text();
  };
  const Credentials::Parts good = node.parts(ca);
  CHECK(why(good) == "fine");
  CHECK(why(good, stranger.key_pem) == "node.crt is for another key than node.key");
  Credentials::Parts bad = good;
  bad.ca_pem = other.certificate_pem().value();  // the same name, another key
  CHECK(why(bad) == "node.crt was not signed by the CA of ca.crt");
  bad.ca_pem = good.certificate_pem;
  CHECK(why(bad) == "ca.crt has no CA's certificate");
  bad.ca_pem = "nonsense";
  CHECK(why(bad) == "ca.crt has no certificate that can be read");
  bad = good;
  bad.certificate_pem = good.ca_pem;
  CHECK(why(bad) == "node.crt has a certificate without a node's name");
  bad.certificate_pem.clear();
  CHECK(why(bad) == "node.crt has no certificate that can be read");
  bad = good;
  bad.info.cluster = "lab2";
  CHECK(why(bad) == "cluster.json names another cluster than ca.crt");
  bad = good;
  bad.group_key.bytes.pop_back();
  CHECK(why(bad) == "group.key has no key");
  // As read from the files, with the directory's name in front.
  REQUIRE(node.credentials(ca).save(node.own).ok());
  node.place.write("ca.crt", other.certificate_pem().value());
  CHECK(node.why() == node.place.at("node.crt was not signed by the CA of ca.crt"));
}

TEST_CASE("renewal replaces one file") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const Node node;
  REQUIRE(node.credentials(ca).save(node.own).ok());
  const auto later =
      ca.sign(node.identity.request("pc1").value(), "pc1", 7, kNow + std::chrono::hours(480));
  REQUIRE(Credentials::save_certificate(node.own, later.value()).ok());
  const GroupKey next = GroupKey::make(5).value();
  REQUIRE(Credentials::save_group_key(node.own, next).ok());
  const Credentials read = Credentials::open(node.own).value().value();
  CHECK(read.certificate().not_after == kNow + std::chrono::hours(480) + kCertificateLife);
  CHECK(read.group_key() == next);
  CHECK(read.group_key().number == 5);
  CHECK(node.files() == 5);
}

TEST_CASE("another cluster takes the place of the first") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const ClusterCa other = ClusterCa::make("other", kNow).value();
  const Node node;
  REQUIRE(node.credentials(ca).save(node.own).ok());
  // Where it cannot be written, nothing of both is a membership.
  std::filesystem::remove(node.place.at("cluster.json"));
  std::filesystem::create_directories(node.place.at("cluster.json/in the way"));
  CHECK_FALSE(node.credentials(other).save(node.own).ok());
  CHECK(node.why() == "none");
  std::filesystem::remove_all(node.place.at("cluster.json"));
  REQUIRE(node.credentials(other).save(node.own).ok());
  CHECK(Credentials::open(node.own).value()->cluster() == "other");
}

TEST_CASE("leaving removes everything but the key") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const Node node;
  CHECK(Credentials::forget(node.own).ok());
  REQUIRE(node.credentials(ca).save(node.own).ok());
  node.place.write("group.key.new-0011223344556677", "what a killed daemon left");
  CHECK(Credentials::forget(node.own).ok());
  CHECK(node.why() == "none");
  CHECK(node.files() == 1);
  CHECK(Identity::open(node.own)->id() == node.identity.id());
}

TEST_CASE("damaged files") {
  const ClusterCa ca = ClusterCa::make("lab", kNow).value();
  const Node node;
  REQUIRE(node.credentials(ca).save(node.own).ok());
  const auto with = [&](const char* name, const std::string& text) {
    const std::string before = node.place.read(name);
    node.place.write(name, text);
    std::string why = node.why();
    node.place.write(name, before);
    return why;
  };
  const std::string key(64, 'a');
  CHECK(with("group.key", "") == node.place.at("group.key: no JSON object: Bad message"));
  CHECK(with("group.key", R"({"format":2,"number":1,"key":")" + key + "\"}")
            .find("group.key: another format") != std::string::npos);
  CHECK(with("group.key", R"({"format":1,"number":-1,"key":")" + key + "\"}")
            .find("exceeds a limit") != std::string::npos);
  CHECK(with("group.key", R"({"format":1,"number":1,"key":"aa"})").find("it has no key") !=
        std::string::npos);
  CHECK(with("group.key", R"({"format":1,"number":1,"key":")" + key + "\"}") == "a member");
  const auto info = [&](const std::string& contacts) {
    return R"({"format":1,"cluster":"lab","joined":1,"contacts":[)" + contacts + "]}";
  };
  CHECK(with("cluster.json", info("")) == "a member");
  for (const char* contact :
       {"3", "{}", R"({"name":"n1","address":"10.0.0.1"})", R"({"name":"n1","address":"x:0"})",
        R"({"name":"N 1","address":"10.0.0.1:1"})", R"({"name":"","address":"-:1"})"}) {
    CAPTURE(contact);
    CHECK(with("cluster.json", info(contact)).find("cluster.json: a contact") != std::string::npos);
  }
  std::string many;
  for (size_t i = 0; i <= kMaxContacts; ++i)
    many += std::string(i == 0 ? "" : ",") + R"({"name":"","address":"a:1"})";
  CHECK(with("cluster.json", info(many)).find("exceeds a limit") != std::string::npos);
}

TEST_CASE("which of two group keys both members use") {
  const GroupKey key{7, "b"};
  CHECK(key.gives_way_to({8, "a"}));
  CHECK(key.gives_way_to({7 + GroupKey::kFarAhead, "a"}));
  CHECK_FALSE(key.gives_way_to({7 + GroupKey::kFarAhead + 1, "a"}));
  CHECK_FALSE(key.gives_way_to({UINT32_MAX, "a"}));
  CHECK_FALSE(key.gives_way_to({6, "c"}));
  CHECK(key.gives_way_to({7, "c"}));
  CHECK_FALSE(key.gives_way_to({7, "b"}));
  CHECK_FALSE(key.gives_way_to({7, "a"}));
}

}  // namespace
}  // namespace om::migrator
