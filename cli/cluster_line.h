// SPDX-License-Identifier: Apache-2.0
//
// The command line of om cluster and om token: for cli/main.cc.
#pragma once

#include <functional>

#include "cli/verbs.h"

namespace CLI {
class App;
}

namespace om::cli {

struct ClusterLineArguments {
  ClusterArguments dev;
  ClusterRunArguments run;  // without its command, which main.cc has split off
  std::string run_node;     // directory
  MembershipArguments membership;
};

// Adds the verbs to `app`. A verb that is chosen fills in `given`, and `action` with what carries it out. All must
// outlive the parsing.
void add_cluster_verbs(CLI::App& app, ClusterLineArguments& given, std::function<int()>& action);

}  // namespace om::cli
