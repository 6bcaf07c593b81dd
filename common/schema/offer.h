// SPDX-License-Identifier: Apache-2.0
//
// What the target of a move learns of the process before it admits it, as far as home's deputy knows it: part of
// wire::Offer. The rest (home and the session) is the daemon's, or the session's own (migrator/peers/offer.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/schema/node.capnp.h"

namespace om {

struct OfferedProcess {
  uint32_t keeper_gate_abi = 0;
  pid_t pid = 0;  // at home, for display
  uid_t uid = 0;
  std::string command;
  uint64_t memory_bytes = 0;
  uint32_t threads = 0;
  uint32_t cpus = 0;  // highest CPU id of home + 1
  std::vector<std::string> cpu_features;
  bool home_cpus = false;  // it runs only on CPUs with a number below `cpus`
};

inline void write_offered(const OfferedProcess& process, wire::Offer::Builder to) {
  to.setKeeperGateAbi(process.keeper_gate_abi);
  to.setPid(process.pid);
  to.setUid(process.uid);
  to.setCommand(process.command.c_str());
  to.setMemoryBytes(process.memory_bytes);
  to.setThreads(process.threads);
  to.setCpus(process.cpus);
  to.setHomeCpus(process.home_cpus);
  auto list = to.initCpuFeatures(static_cast<unsigned>(process.cpu_features.size()));
  for (unsigned i = 0; i < list.size(); i++) list.set(i, process.cpu_features[i].c_str());
}

}  // namespace om
