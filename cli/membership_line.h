// SPDX-License-Identifier: Apache-2.0
//
// The command line of om cluster, apart from om cluster dev, and of om token: for cli/main.cc.
#pragma once

#include <functional>

#include "cli/verbs.h"

namespace CLI {
class App;
}

namespace om::cli {

// Adds the verbs to `app` and, below its verb "cluster", to `cluster`. A verb that is chosen fills in `given`, and
// `action` with what carries it out. All must outlive the parsing.
void add_membership_verbs(CLI::App& app, CLI::App& cluster, MembershipArguments& given,
                          std::function<int()>& action);

}  // namespace om::cli
