// SPDX-License-Identifier: Apache-2.0
//
// migrator/identity/deny.h and migrator/identity/deny_list.h.
#include "migrator/identity/deny.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrator/identity/deny_list.h"
#include "test/unit/tls/place.h"

namespace om::migrator {
namespace {

using namespace std::chrono_literals;

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

struct Lab {
  ClusterCa ca = ClusterCa::make("lab", std::chrono::system_clock::now()).value();
  DenyVerifier verifier = DenyVerifier::make(ca.certificate_pem().value()).value();

  DenyEntry entry(uint8_t node = 7, WallTime time = kNow) const {
    return make_deny(ca, NodeId{{node}}, "n7", time, "stolen").value();
  }
};

TEST_CASE("an entry says who, when and why, and that the CA says so") {
  const Lab lab;
  const DenyEntry made = lab.entry();
  CHECK(made.bytes.size() <= kMaxDenyBytes);
  const auto read = lab.verifier.verify(made.bytes);
  REQUIRE(read.ok());
  CHECK(read->node == NodeId{{7}});
  CHECK(read->name == "n7");
  CHECK(read->time == kNow);
  CHECK(read->reason == "stolen");
  CHECK(read->bytes == made.bytes);
  CHECK(lab.verifier.verify(make_deny(lab.ca, NodeId{}, "a", kNow, "")->bytes).ok());
  CHECK_FALSE(make_deny(lab.ca, NodeId{}, "A", kNow, "").ok());
  CHECK_FALSE(make_deny(lab.ca, NodeId{}, "a", kNow, std::string(201, 'x')).ok());
  CHECK_FALSE(make_deny(lab.ca, NodeId{}, "a", kNow, "a\x1b[0m").ok());
}

TEST_CASE("an entry that was changed anywhere is worth nothing") {
  const Lab lab, other;
  const std::string bytes = lab.entry().bytes;
  CHECK_FALSE(other.verifier.verify(bytes).ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    CAPTURE(i);
    std::string wrong = bytes;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    const auto read = lab.verifier.verify(wrong);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().err == EBADMSG);
    CHECK_FALSE(lab.verifier.verify(bytes.substr(0, i)).ok());
  }
  CHECK_FALSE(lab.verifier.verify(bytes + "x").ok());
  CHECK_FALSE(lab.verifier.verify(std::string(10000, 'x')).ok());
  CHECK_FALSE(DenyVerifier::make("nonsense").ok());
}

TEST_CASE("a list keeps what verifies, once, over restarts") {
  const Lab lab, other;
  Place place;
  const OwnDirectory own = place.own();
  const std::string ca = lab.ca.certificate_pem().value();
  DenyList list = DenyList::open(own, ca).value();
  CHECK(list.digest().empty());
  CHECK_FALSE(list.denies(NodeId{{7}}));
  CHECK(list.add(lab.entry().bytes, kNow).value());
  CHECK_FALSE(list.add(lab.entry().bytes, kNow).value());
  CHECK(list.add(other.entry(8).bytes, kNow).error().err == EBADMSG);
  CHECK(list.add(lab.entry(9, kNow - 1h).bytes, kNow).value());
  CHECK(list.denies(NodeId{{7}}));
  CHECK_FALSE(list.denies(NodeId{{8}}));

  const DenyList again = DenyList::open(own, ca).value();
  CHECK(again.digest() == list.digest());
  REQUIRE(again.all().size() == 2);
  CHECK(again.all().front()->node == NodeId{{9}});
  CHECK(again.find(NodeId{{7}})->reason == "stolen");
  // The signatures of two entries for the same node may differ.
  Place second;
  const OwnDirectory second_own = second.own();
  DenyList same = DenyList::open(second_own, ca).value();
  REQUIRE(same.add(lab.entry(9).bytes, kNow).ok());
  CHECK(same.digest() != list.digest());
  REQUIRE(same.add(lab.entry(7).bytes, kNow).ok());
  CHECK(same.digest() == list.digest());
  // Another cluster's file is no list of ours.
  CHECK_FALSE(DenyList::open(own, other.ca.certificate_pem().value()).ok());
  for (const char* text : {"", "{}", "{\"format\":1}", "{\"format\":1,\"entries\":[\"zz\"]}",
                           "{\"format\":1,\"entries\":[\"00\"]}"}) {
    CAPTURE(text);
    place.write("denied.json", text);
    CHECK(DenyList::open(own, ca).error().err == EBADMSG);
  }
  REQUIRE(DenyList::forget(own).ok());
  CHECK(DenyList::open(own, ca)->all().empty());
}

TEST_CASE("a full list drops what is no longer needed") {
  const Lab lab;
  Place place;
  const OwnDirectory own = place.own();
  DenyList list = DenyList::open(own, lab.ca.certificate_pem().value()).value();
  for (size_t i = 0; i < kMaxDenyEntries; ++i) {
    const NodeId node{1000 + static_cast<uint64_t>(i)};
    const WallTime time = kNow + std::chrono::seconds(i);
    REQUIRE(list.add(make_deny(lab.ca, node, "n1", time, "")->bytes, kNow).ok());
  }
  CHECK(list.add(lab.entry().bytes, kNow).error().err == ENOSPC);
  CHECK_FALSE(list.denies(NodeId{{7}}));
  CHECK(list.add(lab.entry().bytes, kNow + kDenyNeeded + 1s).value());
  CHECK(list.denies(NodeId{{7}}));
  CHECK_FALSE(list.denies(NodeId{{1}}));
  CHECK(list.all().size() == kMaxDenyEntries);
}

TEST_CASE("a node is denied although that cannot be written") {
  if (::geteuid() == 0) return;
  const Lab lab;
  Place place;
  const OwnDirectory own = place.own();
  DenyList list = DenyList::open(own, lab.ca.certificate_pem().value()).value();
  REQUIRE(::chmod(place.path.c_str(), 0500) == 0);
  CHECK(list.add(lab.entry().bytes, kNow).error().err == EACCES);
  CHECK(list.denies(NodeId{{7}}));
  REQUIRE(::chmod(place.path.c_str(), 0700) == 0);
}

}  // namespace
}  // namespace om::migrator
