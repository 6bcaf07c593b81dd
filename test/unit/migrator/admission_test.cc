// SPDX-License-Identifier: Apache-2.0
//
// migrator/peers/admission.h and migrator/peers/offer.h: who may come, and what is accepted from a foreign offer.
#include "migrator/peers/admission.h"

#include <capnp/message.h>
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/base/version.h"

namespace om::migrator {
namespace {

constexpr uint64_t kMiB = 1 << 20;

Offer offer_of(uint64_t memory_mib) {
  Offer offer;
  offer.home_node = "n1";
  offer.home = *Address::parse("127.0.0.1:4000");
  offer.session = std::string(kSessionBytes, 's');
  offer.secret = std::string(kSecretBytes, 't');
  offer.cipher = Cipher::kChaCha20Poly1305;
  offer.keeper_gate_abi = kKeeperGateAbi;
  offer.pid = 77;
  offer.uid = 1000;
  offer.command = "./job -x";
  offer.memory_bytes = memory_mib * kMiB;
  offer.threads = 3;
  offer.cpus = 2;
  offer.cpu_features = {"fpu", "sse2", "avx2"};
  return offer;
}

Host host_with(uint64_t free_mib) {
  Host host;
  host.name = "n2";
  host.keeper_gate_abi = kKeeperGateAbi;
  host.cpu_features = {"avx2", "fpu", "sse2", "avx512f"};
  host.cpus = {0, 1, 2, 3};
  host.free_bytes = free_mib * kMiB;
  host.headroom_bytes = 64 * kMiB;
  return host;
}

std::string code_of(const std::optional<Reason>& reason) {
  return reason ? code_name(reason->code) : "";
}

TEST_CASE("a process that fits is welcome") {
  CHECK_FALSE(refuse_offer(offer_of(100), host_with(1000)));
}

TEST_CASE("memory: what is free, less headroom, less what has been promised") {
  CHECK_FALSE(refuse_offer(offer_of(100), host_with(164)));
  CHECK(code_of(refuse_offer(offer_of(101), host_with(164))) == "NO_MEMORY");
  Host host = host_with(300);
  host.reserved_bytes = 137 * kMiB;
  CHECK(code_of(refuse_offer(offer_of(100), host)) == "NO_MEMORY");
  host.reserved_bytes = 136 * kMiB;
  CHECK_FALSE(refuse_offer(offer_of(100), host));
  // No free memory, or none known of: nobody may come, and nothing wraps around.
  CHECK(code_of(refuse_offer(offer_of(1), host_with(0))) == "NO_MEMORY");
}

TEST_CASE("guests: as many as there may be, in all, of the home and of its user") {
  Host host = host_with(1000);
  host.limits = {10, 6, 4};
  host.guests = {9, 5, 3};
  CHECK_FALSE(refuse_offer(offer_of(1), host));
  const auto said = [&host](const GuestCounts& guests) {
    host.guests = guests;
    auto refusal = refuse_offer(offer_of(1), host);
    CHECK(code_of(refusal) == "FULL");
    return refusal ? ": " + refusal->detail : "";
  };
  CHECK(said({10, 0, 0}) == ": node n2 has 10 guests, max_guests is 10");
  CHECK(said({6, 6, 0}) == ": node n2 has 6 guests of node n1, max_guests_per_home is 6");
  CHECK(said({4, 4, 4}) ==
        ": node n2 has 4 guests of user 1000 of node n1, max_guests_per_user is 4");
  // Guests admitted before the limit was lowered.
  host.limits = {1, 1, 1};
  CHECK(said({2, 2, 2}) == ": node n2 has 2 guests, max_guests is 1");
  host.limits = {0, 0, 0};
  CHECK(said({0, 0, 0}) == ": node n2 has 0 guests, max_guests is 0");
}

TEST_CASE("what guests use: of each and of all, and the limit is named") {
  const auto said = [](const Host& host, const Offer& offer, const char* code) {
    const auto refusal = refuse_offer(offer, host);
    CHECK(code_of(refusal) == code);
    return refusal ? refusal->detail : "";
  };
  Offer offer = offer_of(100);
  offer.threads = 3;
  Host host = host_with(1000);
  host.resources = {proc::CpuShare::kIdle, 100 * kMiB, 300 * kMiB, 3, 10};
  host.usage = {200 * kMiB, 0, 7};
  CHECK(said(host, offer, "") == "");
  host.usage.memory_bytes += 1;
  CHECK(said(host, offer, "NO_MEMORY") ==
        "it needs 100 MiB, guests of node n2 have 200 MiB, guests_memory_mib is 300");
  host.usage.memory_bytes = 400 * kMiB;  // they have grown: nothing wraps around
  said(host, offer, "NO_MEMORY");
  host.usage.memory_bytes = 150 * kMiB;
  host.reserved_bytes = 51 * kMiB;
  said(host, offer, "NO_MEMORY");
  host.reserved_bytes = 50 * kMiB;
  said(host, offer, "");
  host.usage.new_bytes = 50 * kMiB;  // the same guests are not counted twice
  host.reserved_bytes = 100 * kMiB;
  said(host, offer, "");
  host.reserved_bytes += 1;
  said(host, offer, "NO_MEMORY");
  host.usage.new_bytes = 0;
  host.reserved_bytes = 0;
  host.usage.threads = 8;
  CHECK(said(host, offer, "BLOCKED") ==
        "it has 3 threads, guests of node n2 have 8, guests_threads is 10");
  host.usage.threads = UINT32_MAX;
  said(host, offer, "BLOCKED");
  host.usage.threads = 0;
  host.resources.threads = 2;
  CHECK(said(host, offer, "BLOCKED") == "it has 3 threads, guest_threads of node n2 is 2");
  host.resources.memory_bytes = 100 * kMiB - 1;
  CHECK(said(host, offer, "NO_MEMORY") == "it needs 100 MiB, guest_memory_mib of node n2 is 99");
}

TEST_CASE("why nobody may come: all reasons that do not depend on who asks") {
  Host host = host_with(1000);
  host.guests = {3, 3, 3};
  CHECK(refuse_everybody(host).empty());
  host.accepts = false;
  host.limits = {3, 1, 1};
  host.used_up_uids = "60100-60102";
  const auto reasons = refuse_everybody(host);
  REQUIRE(reasons.size() == 3);
  CHECK(reasons[0].code == ReasonCode::kBlocked);
  CHECK(reasons[1].code == ReasonCode::kFull);
  CHECK(reasons[2].code == ReasonCode::kFull);
  CHECK(reasons[2].detail.find("guest_uids (60100-60102)") != std::string::npos);
  host.accepts = true;
  host.draining = true;
  CHECK(refuse_everybody(host)[0].detail == "node n2 is being emptied");
  host.draining = false;
  host.limits = {};
  CHECK(code_of(refuse_offer(offer_of(1), host)) == "FULL");
}

TEST_CASE("by default no home has all the places, no user all of his home's") {
  for (uint32_t cpus : {0U, 1U, 2U, 64U, UINT32_MAX}) {
    CAPTURE(cpus);
    const GuestLimits limits = default_guest_limits(cpus);
    CHECK(limits.in_all > limits.of_home);
    CHECK(limits.of_home > limits.of_user);
    CHECK(limits.of_user >= 96);
    CHECK(limits.in_all <= 1 << 16);
  }
}

TEST_CASE("CPU features: the first missing ones are named, kernel inventions are not compared") {
  Offer offer = offer_of(1);
  offer.cpu_features = {"fpu", "avx512vl", "constant_tsc", "sha_ni"};
  auto refusal = refuse_offer(offer, host_with(1000));
  CHECK(code_of(refusal) == "CPU_FEATURE");
  CHECK(refusal->detail.find("avx512vl") != std::string::npos);
  CHECK(refusal->detail.find("sha_ni") != std::string::npos);
  CHECK(refusal->detail.find("constant_tsc") == std::string::npos);
  offer.cpu_features = {"a1", "a2", "a3", "a4", "a5", "a6", "a7"};
  refusal = refuse_offer(offer, host_with(1000));
  CHECK(refusal->detail.find("and 2 more") != std::string::npos);
  offer.cpu_features = {"\x1b[2J"};
  CHECK(refuse_offer(offer, host_with(1000))->message().find('\x1b') == std::string::npos);
}

TEST_CASE("CPU numbers: who counts on them needs one below home's count") {
  Host host = host_with(1000);
  host.cpus = {2, 3};
  Offer offer = offer_of(1);
  CHECK_FALSE(refuse_offer(offer, host));
  offer.home_cpus = true;
  CHECK(code_of(refuse_offer(offer, host)) == "CPU_COUNT");
  offer.cpus = 3;
  CHECK_FALSE(refuse_offer(offer, host));
  // So does a gate that knows nothing else.
  offer = offer_of(1);
  offer.keeper_gate_abi = kAnyCpuAbi - 1;
  CHECK(code_of(refuse_offer(offer, host)) == "CPU_COUNT");
  host.cpus = {};
  CHECK(code_of(refuse_offer(offer_of(1), host)) == "CPU_COUNT");
}

TEST_CASE("policy and versions come before everything else") {
  Host host = host_with(0);
  host.accepts = false;
  CHECK(code_of(refuse_offer(offer_of(100), host)) == "BLOCKED");
  host = host_with(1000);
  host.keeper_gate_abi = 5;
  Offer offer = offer_of(1);
  for (auto [abi, welcome] :
       {std::pair{3u, false}, {4u, true}, {5u, true}, {6u, false}, {0u, false}}) {
    CAPTURE(abi);
    offer.keeper_gate_abi = abi;
    CHECK(code_of(refuse_offer(offer, host)) == (welcome ? "" : "VERSION"));
  }
}

TEST_CASE("both nodes encrypt, or neither does") {
  Host host = host_with(1000);
  Offer offer = offer_of(100);
  offer.cipher = std::nullopt;
  const auto refused = refuse_offer(offer, host);
  CHECK(code_of(refused) == "BLOCKED");
  REQUIRE(refused);
  CHECK(refused->message().find("wire = \"sealed\"") != std::string::npos);
  host.plain = true;
  CHECK_FALSE(refuse_offer(offer, host));
  CHECK(code_of(refuse_offer(offer_of(100), host)) == "BLOCKED");
}

TEST_CASE("the cipher that both CPUs are fast at") {
  const std::vector<std::string> fast = {"aes", "fpu", "pclmulqdq", "sse4_1"},
                                 half = {"aes", "pclmulqdq"};
  CHECK(choose_cipher(fast, fast) == Cipher::kAes256Gcm);
  CHECK(choose_cipher(fast, half) == Cipher::kChaCha20Poly1305);
  CHECK(choose_cipher(half, fast) == Cipher::kChaCha20Poly1305);
  CHECK(choose_cipher(fast, {}) == Cipher::kChaCha20Poly1305);
  Offer offer = offer_of(100);
  offer.cipher = Cipher::kAes256Gcm;
  Host host = host_with(1000);
  CHECK(code_of(refuse_offer(offer, host)) == "CPU_FEATURE");
  host.cpu_features.insert(host.cpu_features.end(), fast.begin(), fast.end());
  CHECK_FALSE(refuse_offer(offer, host));
}

TEST_CASE("protocols: the same major speaks, any minor") {
  CHECK_FALSE(refuse_protocol(1 << 16 | 4, 1 << 16));
  CHECK(code_of(refuse_protocol(1 << 16, 2 << 16)) == "VERSION");
}

TEST_CASE("an offer goes over the wire and back") {
  capnp::MallocMessageBuilder message;
  Offer offer = offer_of(5);
  write_offer(offer, message.initRoot<wire::Offer>());
  auto back = read_offer(message.getRoot<wire::Offer>().asReader());
  REQUIRE(back.ok());
  CHECK(back->home.text() == "127.0.0.1:4000");
  CHECK(keeper_input(*back) == keeper_input(offer));
  CHECK(back->home_node == "n1");
}

TEST_CASE("an offer becomes the keeper's input") {
  CHECK(keeper_input(offer_of(5)) == Json{{"session", "73737373737373737373737373737373"},
                                          {"secret",
                                           "7474747474747474747474747474747474747474747474747474747"
                                           "474747474"},
                                          {"cipher", 2},
                                          {"offer",
                                           {{"abi", kKeeperGateAbi},
                                            {"pid", 77},
                                            {"uid", 1000},
                                            {"command", "./job -x"},
                                            {"memory_bytes", 5 * kMiB},
                                            {"threads", 3},
                                            {"cpus", 2},
                                            {"cpu_features", {"fpu", "sse2", "avx2"}}}}});
}

TEST_CASE("of a deputy's offer only the home is left open") {
  capnp::MallocMessageBuilder message;
  auto wire = message.initRoot<wire::Offer>();
  write_offer(offer_of(5), wire);
  wire.setHomeNode("../n1");
  wire.setHomeAddress("");
  auto offer = read_deputy_offer(wire.asReader());
  REQUIRE(offer.ok());
  CHECK(offer->home.port() == 4000);
  CHECK(offer->secret == std::string(kSecretBytes, 't'));
  wire.setHomePort(0);
  CHECK_FALSE(read_deputy_offer(wire.asReader()).ok());
}

TEST_CASE("what a peer sends is checked") {
  auto spoilt = [](auto spoil) {
    capnp::MallocMessageBuilder message;
    auto wire = message.initRoot<wire::Offer>();
    write_offer(offer_of(5), wire);
    spoil(wire);
    return read_offer(wire.asReader()).ok();
  };
  using Wire = wire::Offer::Builder;
  CHECK(spoilt([](Wire) {}));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setHomeNode("../n1"); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setHomeAddress("localhost"); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setHomePort(0); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.initSecret(31); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.initSession(17); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setCommand(std::string(5000, 'x').c_str()); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setPid(-5); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setMemoryBytes(UINT64_MAX); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setThreads(0); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setCpus(0); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.setCipher(kMaxCipherNumber + 1); }));
  CHECK_FALSE(spoilt([](Wire wire) { wire.initCpuFeatures(kMaxCpuFeatures + 1); }));
}

}  // namespace
}  // namespace om::migrator
