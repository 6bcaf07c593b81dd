// SPDX-License-Identifier: Apache-2.0
//
// om version: the versions of this program, and of the daemon if there is one.
#include "common/base/version.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int version(bool json) {
  std::string protocol = fmt::format("{}.{}", kProtocolMajor, kProtocolMinor);
  Answer daemon = request({{"verb", "version"}}, Milliseconds(2000));
  if (json) {
    return print_json({{"version", build_version()},
                       {"protocol", protocol},
                       {"keeper_gate_abi", kKeeperGateAbi},
                       {"daemon", daemon.ok ? daemon.data : Json()}});
  }
  std::string text = fmt::format("openMosix {} (protocol {}, keeper interface {})\n",
                                 build_version(), protocol, kKeeperGateAbi);
  if (daemon.ok) {
    text += fmt::format("daemon of node {}: {}\n",
                        harmless(json_string(daemon.data, "name", 64).value_or("?")),
                        harmless(json_string(daemon.data, "version", 64).value_or("?")));
  }
  return print_text(text);
}

}  // namespace om::cli
