// SPDX-License-Identifier: Apache-2.0
//
// On which hosts `om cluster run` starts a daemon, what they are called there, and how a shell is started on one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om::cli {

constexpr size_t kMaxHosts = 256;

struct RunHost {
  std::string name;  // as given: "pc2", "user@10.1.2.3"
  std::string node;  // its node's name, another for each
  // Starts /bin/sh there, its stdin and stdout being ours. The words need no quoting, whether the launcher passes them
  // on as they are or, like ssh(1), as one line to another shell.
  std::vector<std::string> command;
};

// "pc2" of "user@PC2.example.org", "n10-1-2-3" of "10.1.2.3". Always a valid node name.
std::string node_name_of(std::string_view host);

// Names of hosts, separated by commas. Errors: an empty or repeated name, one that begins with '-' (a launcher would
// take it for an option) or has characters that no name or address has, more than kMaxHosts.
Result<std::vector<std::string>> parse_hosts(std::string_view list);

// `launcher`: words separated by blanks, to which the host's name and the shell are added; empty: ssh. `own_node`: a
// name that is taken.
std::vector<RunHost> launched_hosts(const std::vector<std::string>& names,
                                    std::string_view launcher, const std::string& own_node);

// The nodes of the Slurm allocation that this process is in ($SLURM_JOB_NODELIST, by scontrol(1)), reached by srun(1),
// without the one that it runs on ($SLURMD_NODENAME). Errors: there is no allocation; scontrol(1) fails.
Result<std::vector<RunHost>> slurm_hosts(const std::string& own_node);

}  // namespace om::cli
