// SPDX-License-Identifier: Apache-2.0
#include "cli/run_hosts.h"

#include <ctype.h>
#include <fmt/core.h>
#include <stdlib.h>

#include <algorithm>
#include <set>

#include "cli/spawned.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/text.h"

namespace om::cli {
namespace {

constexpr size_t kMaxHostName = 255;
constexpr Milliseconds kScontrolLimit{30000};

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

Result<void> check_host(std::string_view name) {
  const auto known = [](char c) {
    return ::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-._:@%[]").find(c) != std::string_view::npos;
  };
  if (name.empty()) return plain_error("an empty name in the list of hosts");
  if (name.size() > kMaxHostName || name.front() == '-' ||
      !std::all_of(name.begin(), name.end(), known))
    return plain_error("no name of a host: " + escaped(name, 80));
  return {};
}

// Another name than those in `taken`.
std::string unique_name(const std::string& name, std::set<std::string>& taken) {
  std::string result = name;
  for (int number = 2; !taken.insert(result).second; ++number) {
    const std::string suffix = fmt::format("-{}", number);
    result = name.substr(0, kMaxNodeName - suffix.size()) + suffix;
  }
  return result;
}

}  // namespace

std::string node_name_of(std::string_view host) {
  host.remove_prefix(host.rfind('@') + 1);  // npos + 1 is 0
  const bool numeric =
      host.find_first_not_of("0123456789.") == host.npos || host.find(':') != host.npos;
  if (!numeric) return node_name_from_host(host);
  // All of an address, without what would look like a domain.
  std::string name = "n" + std::string(host);
  std::replace(name.begin(), name.end(), '.', '-');
  return node_name_from_host(name);
}

Result<std::vector<std::string>> parse_hosts(std::string_view list) {
  std::vector<std::string> names;
  for (;;) {
    const size_t comma = list.find(',');
    const std::string name(trim(list.substr(0, comma)));
    OM_TRY(check_host(name));
    if (std::find(names.begin(), names.end(), name) != names.end())
      return plain_error(fmt::format("{} is in the list of hosts twice", name));
    names.push_back(name);
    if (names.size() > kMaxHosts) return plain_error(fmt::format("more than {} hosts", kMaxHosts));
    if (comma == list.npos) return names;
    list.remove_prefix(comma + 1);
  }
}

std::vector<RunHost> launched_hosts(const std::vector<std::string>& names,
                                    std::string_view launcher, const std::string& own_node) {
  // Nobody is there to be asked for a password; nothing of the user's session is to go along.
  const std::string_view words =
      launcher.empty() ? "ssh -o BatchMode=yes -o ClearAllForwardings=yes -T -x -a --" : launcher;
  std::vector<std::string> start;
  for (std::string_view rest = words, word; !(word = take_field(rest)).empty();)
    start.emplace_back(word);
  std::set<std::string> taken{own_node};
  std::vector<RunHost> hosts;
  for (const std::string& name : names) {
    RunHost host{name, unique_name(node_name_of(name), taken), start};
    host.command.insert(host.command.end(), {name, "/bin/sh"});
    hosts.push_back(std::move(host));
  }
  return hosts;
}

Result<std::vector<RunHost>> slurm_hosts(const std::string& own_node) {
  const std::string job = environment("SLURM_JOB_ID"), list = environment("SLURM_JOB_NODELIST");
  if (job.empty() || list.empty())
    return plain_error("--slurm: this is no Slurm allocation (SLURM_JOB_ID, SLURM_JOB_NODELIST)");
  const std::string text =
      OM_TRY(output_of({"scontrol", "show", "hostnames", list}, kScontrolLimit));
  std::string names;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view name = trim(take_line(rest));
    if (name.empty() || name == environment("SLURMD_NODENAME")) continue;
    names.append(names.empty() ? "" : ",").append(name);
  }
  if (names.empty()) return std::vector<RunHost>();
  std::vector<RunHost> hosts = launched_hosts(OM_TRY(parse_hosts(names)), "-", own_node);
  for (RunHost& host : hosts) {
    host.command = {"srun",       "--quiet",   "--jobid=" + job,  "--nodes=1",
                    "--ntasks=1", "--overlap", "--cpu-bind=none", "--nodelist=" + host.name,
                    "/bin/sh"};
  }
  return hosts;
}

}  // namespace om::cli
