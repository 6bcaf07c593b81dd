// SPDX-License-Identifier: Apache-2.0
#include "cli/run_environment.h"

#include <fmt/core.h>
#include <unistd.h>

#include <string_view>

namespace om::cli {

Environment current_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    size_t equals = text.find('=');
    if (equals != text.npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<void> add_preload(Environment& environment, const std::string& library) {
  if (library.find_first_of(" :\t\n") != library.npos) {
    return plain_error(
        fmt::format("{}: LD_PRELOAD cannot name a path with a blank or a colon", library));
  }
  std::string& list = environment["LD_PRELOAD"];
  std::string_view rest = list;
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find_first_of(" :"));
    if (item == library) return {};
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
  }
  list += (list.empty() ? "" : ":") + library;
  return {};
}

void add_sanitizer_options(Environment& environment) {
  constexpr std::string_view kOption = "verify_asan_link_order";
  std::string& options = environment["ASAN_OPTIONS"];
  if (options.find(kOption) != options.npos) return;
  options += fmt::format("{}{}=0", options.empty() ? "" : ":", kOption);
}

void add_baseline(Environment& environment, const CpuBaseline& baseline) {
  for (auto& [name, value] : baseline.environment) {
    std::string& variable = environment[name];
    bool append = name == "GLIBC_TUNABLES" && !variable.empty();
    variable = append ? variable + ":" + value : value;
  }
}

}  // namespace om::cli
