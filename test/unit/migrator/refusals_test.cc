// SPDX-License-Identifier: Apache-2.0
//
// migrator/peers/refusals.h and pace.h: causes, what is counted and what is written.
#include "migrator/peers/refusals.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "migrator/peers/pace.h"

namespace om::migrator {
namespace {

using namespace std::chrono_literals;
using Cause = Refusal::Cause;

TEST_CASE("failures of TLS have a cause and words") {
  struct Case {
    const char* text;
    Cause cause;
    bool by_peer;
    const char* words;
  };
  for (const Case& c : {
           Case{"TLS: the peer's certificate: certificate has expired", Cause::kExpired, false,
                "certificate expired"},
           Case{"TLS: the peer's certificate: certificate is not yet valid", Cause::kNotYetValid,
                false, "certificate not yet valid"},
           Case{"TLS: the peer's certificate: hostname mismatch", Cause::kWrongName, false,
                "certificate of another node"},
           Case{"TLS: the peer's certificate: self-signed certificate in certificate chain",
                Cause::kOtherCluster, false, "another cluster"},
           Case{"TLS: the peer's certificate: unable to get local issuer certificate",
                Cause::kOtherCluster, false, "another cluster"},
           Case{"TLS: the peer's certificate: certificate chain too long", Cause::kOtherCluster,
                false, "another cluster"},
           Case{"TLS: the peer's certificate: certificate signature failure", Cause::kOtherCluster,
                false, "another cluster"},
           Case{"TLS: the peer's certificate: unsuitable certificate purpose",
                Cause::kBadCertificate, false,
                "no certificate of a node: unsuitable certificate purpose"},
           Case{"TLS: the peer shows a certificate without a node's name", Cause::kBadCertificate,
                false, "no certificate of a node"},
           Case{"TLS: refused by the peer: unknown ca", Cause::kOtherCluster, true,
                "it refuses this node: another cluster"},
           Case{"TLS: refused by the peer: certificate expired", Cause::kExpired, true,
                "it refuses this node: certificate expired"},
           Case{"TLS: refused by the peer: bad certificate", Cause::kBadCertificate, true,
                "it refuses this node: bad certificate"},
           Case{"TLS: refused by the peer: no application protocol", Cause::kProtocol, true,
                "it refuses this node: another protocol"},
           Case{"TLS: refused by the peer: internal error", Cause::kOther, true,
                "it refuses this node: internal error"},
           Case{"TLS: peer did not return a certificate", Cause::kNoCertificate, false,
                "no certificate"},
           Case{"TLS: wrong version number", Cause::kPlainText, false, "plain text instead of TLS"},
           Case{"TLS: http request", Cause::kPlainText, false, "plain text instead of TLS"},
           Case{"TLS: no application protocol", Cause::kProtocol, false, "another protocol"},
           Case{"TLS: the handshake took too long", Cause::kSilence, false, "silence"},
           Case{"TLS: the peer has hung up during the handshake", Cause::kHungUp, false,
                "it has hung up"},
           Case{"recv: Connection reset by peer", Cause::kHungUp, false, "it has hung up"},
           Case{"TLS: decryption failed or bad record mac", Cause::kDamaged, false,
                "damaged bytes"},
           Case{"n3 calls itself n2", Cause::kWrongName, false, "n3 calls itself n2"},
           Case{"something new", Cause::kOther, false, "something new"},
       }) {
    CAPTURE(c.text);
    const Refusal found = explain_failure(c.text);
    CHECK(found.cause == c.cause);
    CHECK(found.by_peer == c.by_peer);
    CHECK(found.text == c.words);
  }
}

TEST_CASE("every cause has a name of its own") {
  std::vector<std::string> names;
  for (size_t i = 0; i < Refusal::kCauses; ++i) names.emplace_back(name_of(static_cast<Cause>(i)));
  CHECK(names.front() == "other_cluster");
  CHECK(names.back() == "other");
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("each refusal counts, one line a minute is written") {
  FakeClock clock;
  Refusals refusals(clock);
  CHECK(refusals.counts().empty());
  CHECK(refusals.count(Cause::kExpired, "n2"));
  for (int i = 0; i < 99; ++i) CHECK_FALSE(refusals.count(Cause::kExpired, "n2"));
  CHECK(refusals.count(Cause::kExpired, "n3"));
  CHECK(refusals.count(Cause::kSilence, "n2"));
  clock.advance(59s);
  CHECK_FALSE(refusals.count(Cause::kExpired, "n2"));
  clock.advance(1s);
  CHECK(refusals.count(Cause::kExpired, "n2"));
  CHECK_FALSE(refusals.count(Cause::kExpired, "n2"));
  const auto counts = refusals.counts();
  REQUIRE(counts.size() == 2);
  CHECK(std::string(counts[0].first) == "expired");
  CHECK(counts[0].second == 104);
  CHECK(std::string(counts[1].first) == "silence");
  CHECK(counts[1].second == 1);
}

TEST_CASE("no number of sources fills the memory or the log") {
  FakeClock clock;
  Refusals refusals(clock);
  size_t lines = 0;
  for (size_t i = 0; i < 5 * Refusals::kMaxLines; ++i) {
    if (refusals.count(Cause::kPlainText, std::to_string(i))) ++lines;
  }
  CHECK(lines == Refusals::kMaxLines);
  CHECK(refusals.counts()[0].second == 5 * Refusals::kMaxLines);
  clock.advance(60s);
  CHECK(refusals.count(Cause::kPlainText, "new"));
}

TEST_CASE("a pace lets some come at once and the others one by one") {
  MonotonicTime now{1h};
  Pace pace(10ms, 5);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += pace.take(now) ? 1 : 0;
  CHECK(taken == 6);
  CHECK_FALSE(pace.rested(now));
  for (int i = 0; i < 50; ++i) taken += pace.take(now += 1ms) ? 1 : 0;
  CHECK(taken == 11);
  now += 100ms;
  CHECK(pace.rested(now));
  // Those that wait are counted when they ask.
  for (int i = 0; i < 6; ++i) CHECK(pace.next(now) <= 10ms);
  CHECK(pace.next(now) >= 10ms);
}

}  // namespace
}  // namespace om::migrator
