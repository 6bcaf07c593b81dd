// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/facts.h"

#include <sys/utsname.h>

#include <chrono>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/cpu/cpu_features.h"
#include "migrator/load/readings.h"
#include "migrator/peers/offer.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {

Result<NodeFacts> read_fixed_facts(std::string name) {
  NodeFacts facts;
  facts.name = std::move(name);
  facts.protocol = kProtocol;
  facts.build = build_version();
  facts.keeper_gate_abi = kKeeperGateAbi;
  facts.life = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  facts.cpus = static_cast<uint32_t>(OM_TRY(allowed_cpus()).size());
  facts.cpu_features = OM_TRY(local_cpu_features());
  facts.memory_bytes = OM_TRY(parse_meminfo(OM_TRY(read_text("/proc/meminfo")))).total_bytes;
  std::string boot_id = OM_TRY(read_text("/proc/sys/kernel/random/boot_id"));
  std::string_view rest = boot_id;
  facts.boot_id = rest.empty() ? "" : take_line(rest);
  utsname names{};
  if (::uname(&names) != 0) return errno_error("uname");
  facts.kernel = names.release;
  return facts;
}

Result<void> refresh_facts(NodeFacts& facts) {
  facts.free_bytes = 0;
  facts.load_centis = 0;
  auto loadavg = read_text("/proc/loadavg");
  if (loadavg) facts.load_centis = parse_loadavg(*loadavg).value_or(0);
  facts.free_bytes = OM_TRY(parse_meminfo(OM_TRY(read_text("/proc/meminfo")))).available_bytes;
  return {};
}

NodeFacts OwnFacts::now() const {
  NodeFacts facts = fixed_;
  if (auto read = refresh_facts(facts); !read) log_warn("node", "{}", read.error().text());
  facts.guests = guests_();
  return facts;
}

void write_info(const NodeFacts& facts, wire::NodeInfo::Builder to) {
  to.setName(facts.name.c_str());
  to.setProtocol(facts.protocol);
  to.setBuild(facts.build.c_str());
  to.setCpus(facts.cpus);
  write_texts(facts.cpu_features,
              to.initCpuFeatures(static_cast<unsigned>(facts.cpu_features.size())));
  to.setMemoryBytes(facts.memory_bytes);
  to.setFreeBytes(facts.free_bytes);
  to.setLoadCentis(facts.load_centis);
  to.setGuests(facts.guests);
  to.setKernel(facts.kernel.c_str());
  to.setBootId(facts.boot_id.c_str());
  to.setKeeperGateAbi(facts.keeper_gate_abi);
  to.setLife(facts.life);
}

Result<NodeFacts> read_info(wire::NodeInfo::Reader from) {
  NodeFacts facts;
  facts.name = OM_TRY(read_wire_text(from.getName(), kMaxNodeName, "name"));
  if (!valid_node_name(facts.name)) return plain_error("name is no node name");
  facts.protocol = from.getProtocol();
  facts.build = OM_TRY(read_wire_text(from.getBuild(), 128, "build"));
  facts.cpus = from.getCpus();
  facts.cpu_features = OM_TRY(
      read_wire_texts(from.getCpuFeatures(), kMaxCpuFeatures, kMaxCpuFeatureName, "cpuFeatures"));
  facts.memory_bytes = from.getMemoryBytes();
  facts.free_bytes = from.getFreeBytes();
  facts.load_centis = from.getLoadCentis();
  facts.guests = from.getGuests();
  facts.kernel = OM_TRY(read_wire_text(from.getKernel(), 128, "kernel"));
  facts.boot_id = OM_TRY(read_wire_text(from.getBootId(), 64, "bootId"));
  facts.keeper_gate_abi = from.getKeeperGateAbi();
  facts.life = from.getLife();
  return facts;
}

}  // namespace om::migrator
