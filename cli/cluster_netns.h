// SPDX-License-Identifier: Apache-2.0
//
// The network of `om cluster dev start --netns`: one network namespace per node, joined by veth pairs to a
// bridge that lies in a namespace of its own. Nothing touches the machine's own network, so every cluster
// uses the same subnet; the names of the namespaces come from the directory, so that clusters can coexist.
// Needs root and ip(8).
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"

namespace om::cli {

inline constexpr char kClusterSubnet[] = "10.77.0.0/24";

// "om-3fa9c1d2-n1"; `node` "sw" is the bridge's.
std::string namespace_name(const std::string& tag, const std::string& node);
// 10.77.0.K for node number K, 1..250.
std::string namespace_address(int number);

Result<void> make_switch(const std::string& switch_namespace);
Result<void> make_node_namespace(const std::string& name, const std::string& switch_namespace,
                                 int number);
// A missing namespace is not an error.
Result<void> remove_namespace(const std::string& name);

// Runs a program (searched in PATH) and waits. The Error holds what it wrote to stderr.
Result<void> run_tool(const std::vector<std::string>& command);

}  // namespace om::cli
