// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/guest_bodies.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "common/base/text.h"
#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::migrator {
namespace {

constexpr size_t kMaxCommand = 64;

uint64_t ms_of(uint64_t ticks) {
  return ticks * 1000 / static_cast<uint64_t>(std::max(::sysconf(_SC_CLK_TCK), 1L));
}

uint64_t ms_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

// Of "om-body: PID@NODE COMMAND" (guest/title.h); nullopt for anything else. What runs in a body can write there.
std::optional<std::string> command_of(pid_t body) {
  const auto line = proc::read_cmdline(body);
  constexpr std::string_view kStart = "om-body: ";
  if (!line || line->empty() || !line->front().starts_with(kStart)) return std::nullopt;
  std::string_view rest = std::string_view(line->front()).substr(kStart.size());
  const size_t blank = rest.find(' ');
  rest.remove_prefix(blank == rest.npos ? rest.size() : blank + 1);
  std::string command(rest.substr(0, kMaxCommand));
  std::replace_if(
      command.begin(), command.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return command;
}

}  // namespace

std::optional<GuestBody> body_of(pid_t keeper) {
  const auto text = proc::read_proc(keeper, fmt::format("task/{}/children", keeper));
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  for (auto field = take_field(rest); !field.empty(); field = take_field(rest)) {
    GuestBody body;
    if (!parse_number(field, body.pid)) continue;
    const auto stat = proc::read_stat(body.pid);
    if (!stat || stat->ppid != keeper || stat->is_ending()) continue;
    auto command = command_of(body.pid);
    if (!command) continue;  // it has still to become one
    body.command = std::move(*command);
    body.threads = static_cast<uint32_t>(std::max<int64_t>(stat->num_threads, 0));
    body.rss_bytes = static_cast<uint64_t>(std::max<int64_t>(stat->rss, 0)) *
                     static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    body.cpu_ms = ms_of(stat->utime + stat->stime);
    const uint64_t now = ms_since_boot(), started = ms_of(stat->starttime);
    body.age_ms = now > started ? now - started : 0;
    return body;
  }
  return std::nullopt;
}

}  // namespace om::migrator
