// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/offer.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/names.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

// Limits that hold for both forms. A process of 4 PiB or with a million threads is nobody's.
constexpr int64_t kMaxMemoryBytes = int64_t{1} << 52;
constexpr uint32_t kMaxThreads = 1u << 20;
constexpr uint32_t kMaxCpus = 1u << 16;
constexpr int64_t kMaxPid = 1 << 22;

}  // namespace

Result<Offer> offer_from_event(const Json& event) {
  Offer offer;
  offer.session =
      OM_TRY(from_hex(OM_TRY(json_string(event, "session", 2 * kSecretBytes)), kSecretBytes));
  offer.token =
      OM_TRY(from_hex(OM_TRY(json_string(event, "token", 2 * kSecretBytes)), kSecretBytes));
  auto port = static_cast<uint16_t>(OM_TRY(json_int(event, "port", 1, 65535)));
  offer.home = OM_TRY(Address::parse("127.0.0.1", port));
  auto it = event.find("offer");
  if (it == event.end() || !it->is_object()) return plain_error("\"offer\" must be an object");
  const Json& body = *it;
  offer.keeper_gate_abi = static_cast<uint32_t>(OM_TRY(json_int(body, "abi", 1, UINT32_MAX)));
  offer.pid = static_cast<pid_t>(OM_TRY(json_int(body, "pid", 1, kMaxPid)));
  offer.uid = static_cast<uid_t>(OM_TRY(json_int(body, "uid", 0, UINT32_MAX)));
  offer.command = OM_TRY(json_string(body, "command", kMaxCommandBytes));
  offer.memory_bytes =
      static_cast<uint64_t>(OM_TRY(json_int(body, "memory_bytes", 0, kMaxMemoryBytes)));
  offer.threads = static_cast<uint32_t>(OM_TRY(json_int(body, "threads", 1, kMaxThreads)));
  offer.cpus = static_cast<uint32_t>(OM_TRY(json_int(body, "cpus", 1, kMaxCpus)));
  offer.cpu_features =
      OM_TRY(json_strings(body, "cpu_features", kMaxCpuFeatures, kMaxCpuFeatureName));
  return offer;
}

Json keeper_input(const Offer& offer) {
  return Json{{"session", to_hex(offer.session)},
              {"token", to_hex(offer.token)},
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
  to.setToken(wire_data(offer.token));
  to.setKeeperGateAbi(offer.keeper_gate_abi);
  to.setPid(offer.pid);
  to.setUid(offer.uid);
  to.setCommand(offer.command.c_str());
  to.setMemoryBytes(offer.memory_bytes);
  to.setThreads(offer.threads);
  to.setCpus(offer.cpus);
  write_texts(offer.cpu_features,
              to.initCpuFeatures(static_cast<unsigned>(offer.cpu_features.size())));
}

Result<Offer> read_offer(wire::Offer::Reader from) {
  Offer offer;
  offer.home_node = OM_TRY(read_wire_text(from.getHomeNode(), kMaxNodeName, "homeNode"));
  if (!valid_node_name(offer.home_node)) return plain_error("homeNode is no node name");
  std::string host = OM_TRY(read_wire_text(from.getHomeAddress(), 64, "homeAddress"));
  if (from.getHomePort() == 0) return plain_error("homePort is 0");
  offer.home = OM_TRY(Address::parse(host));
  offer.home.set_port(from.getHomePort());
  offer.session = OM_TRY(read_secret(from.getSession(), "session"));
  offer.token = OM_TRY(read_secret(from.getToken(), "token"));
  offer.keeper_gate_abi = from.getKeeperGateAbi();
  offer.pid = from.getPid();
  offer.uid = from.getUid();
  offer.command = OM_TRY(read_wire_text(from.getCommand(), kMaxCommandBytes, "command"));
  offer.memory_bytes = from.getMemoryBytes();
  offer.threads = from.getThreads();
  offer.cpus = from.getCpus();
  if (offer.pid <= 0 || offer.memory_bytes > uint64_t{kMaxMemoryBytes} || offer.threads == 0 ||
      offer.threads > kMaxThreads || offer.cpus == 0 || offer.cpus > kMaxCpus) {
    return plain_error("a number in the offer is out of range");
  }
  offer.cpu_features = OM_TRY(
      read_wire_texts(from.getCpuFeatures(), kMaxCpuFeatures, kMaxCpuFeatureName, "cpuFeatures"));
  return offer;
}

}  // namespace om::migrator
