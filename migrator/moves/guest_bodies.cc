// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/guest_bodies.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::migrator {
namespace {

constexpr size_t kMaxCommand = 64;

// Of "om-body: PID@NODE COMMAND" (guest/title.h); nullopt for anything else. What runs in a body can write there.
std::optional<std::string> command_of(std::string_view title) {
  constexpr std::string_view kStart = "om-body: ";
  if (!title.starts_with(kStart)) return std::nullopt;
  title.remove_prefix(kStart.size());
  const size_t blank = title.find(' ');
  title.remove_prefix(blank == title.npos ? title.size() : blank + 1);
  std::string command(title.substr(0, kMaxCommand));
  std::replace_if(
      command.begin(), command.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return command;
}

}  // namespace

std::optional<ProcessInfo> body_of(pid_t keeper) {
  if (keeper == 0) return std::nullopt;
  for (const pid_t child : proc::list_children(keeper).value_or({})) {
    const auto stat = proc::read_stat(child);
    if (!stat || stat->ppid != keeper || stat->is_ending()) continue;
    auto body = read_process(child);
    auto command = body ? command_of(body->command) : std::nullopt;
    if (!command) continue;  // it has still to become one
    body->command = std::move(*command);
    return *body;
  }
  return std::nullopt;
}

}  // namespace om::migrator
