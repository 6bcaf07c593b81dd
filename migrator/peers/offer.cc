// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/offer.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/names.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

// Limits for both forms. No real process has 4 PiB or a million threads.
constexpr uint64_t kMaxMemoryBytes = uint64_t{1} << 52;
constexpr uint32_t kMaxThreads = 1u << 20;
constexpr uint32_t kMaxCpus = 1u << 16;

// Reads what both forms have in common: everything but where home is.
Result<Offer> read_common(wire::Offer::Reader from) {
  Offer offer;
  offer.session = OM_TRY(read_wire_bytes(from.getSession(), kSessionBytes, "session"));
  offer.secret = OM_TRY(read_wire_bytes(from.getSecret(), kSecretBytes, "secret"));
  offer.cipher = OM_TRY(read_cipher(from.getCipher()));
  offer.keeper_gate_abi = from.getKeeperGateAbi();
  offer.pid = from.getPid();
  offer.uid = from.getUid();
  offer.command = OM_TRY(read_wire_text(from.getCommand(), kMaxCommandBytes, "command"));
  offer.memory_bytes = from.getMemoryBytes();
  offer.threads = from.getThreads();
  offer.cpus = from.getCpus();
  offer.home_cpus = from.getHomeCpus();
  if (from.getHomePort() == 0) return plain_error("homePort is 0");
  if (offer.pid <= 0 || offer.memory_bytes > kMaxMemoryBytes || offer.threads == 0 ||
      offer.threads > kMaxThreads || offer.cpus == 0 || offer.cpus > kMaxCpus) {
    return plain_error("a number in the offer is out of range");
  }
  offer.cpu_features = OM_TRY(
      read_wire_texts(from.getCpuFeatures(), kMaxCpuFeatures, kMaxCpuFeatureName, "cpuFeatures"));
  return offer;
}

}  // namespace

Result<Offer> read_deputy_offer(wire::Offer::Reader from) {
  Offer offer = OM_TRY(read_common(from));
  offer.home = OM_TRY(Address::parse("127.0.0.1", from.getHomePort()));
  return offer;
}

Json keeper_input(const Offer& offer) {
  return Json{{"session", to_hex(offer.session)},
              {"secret", to_hex(offer.secret)},
              {"cipher", cipher_number(offer.cipher)},
              {"offer",
               {{"abi", offer.keeper_gate_abi},
                {"pid", offer.pid},
                {"uid", offer.uid},
                {"command", offer.command},
                {"memory_bytes", offer.memory_bytes},
                {"threads", offer.threads},
                {"cpus", offer.cpus},
                {"cpu_features", offer.cpu_features}}}};
}

void write_offer(const Offer& offer, wire::Offer::Builder to) {
  to.setHomeNode(offer.home_node.c_str());
  to.setHomeAddress(offer.home.host().c_str());
  to.setHomePort(offer.home.port());
  to.setSession(wire_data(offer.session));
  to.setSecret(wire_data(offer.secret));
  to.setCipher(cipher_number(offer.cipher));
  write_offered(offer, to);
}

Result<Offer> read_offer(wire::Offer::Reader from) {
  Offer offer = OM_TRY(read_common(from));
  offer.home_node = OM_TRY(read_wire_text(from.getHomeNode(), kMaxNodeName, "homeNode"));
  if (!valid_node_name(offer.home_node)) return plain_error("homeNode is no node name");
  offer.home =
      OM_TRY(Address::parse(OM_TRY(read_wire_text(from.getHomeAddress(), 64, "homeAddress"))));
  offer.home.set_port(from.getHomePort());
  return offer;
}

}  // namespace om::migrator
