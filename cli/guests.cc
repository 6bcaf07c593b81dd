// SPDX-License-Identifier: Apache-2.0
//
// om guests, expel and bring: who runs on this machine, sending them home, and bringing home what is away.
#include <fmt/core.h>
#include <time.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

// The daemon answers in time.
constexpr Milliseconds kPatience{30000};

std::string since_of(const Json& guest) {
  const auto since = static_cast<time_t>(number_of(guest, "since"));
  struct tm local {};
  char text[32] = "?";
  if (::localtime_r(&since, &local) != nullptr)
    ::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

void complain_of_guests(const Json& data) {
  const auto left = data.is_object() ? data.find("left") : data.end();
  if (left == data.end() || !left->is_array()) return;
  for (const Json& guest : *left) {
    complain(fmt::format("{}: process {} of {} is still here; its home tries again by itself",
                         number_of(guest, "pid"), number_of(guest, "home_pid"),
                         text_of(guest, "home")));
  }
}

}  // namespace

int guests(bool json) {
  const Answer answer = request({{"verb", "guests"}});
  if (!answer.ok) return report(answer.failure);
  if (json) return print_json(answer.data);
  std::vector<std::vector<std::string>> rows{
      {">PID", "HOME", ">ITS PID", ">OWNER", ">THR", ">RSS", ">CPU s", "SINCE", "COMMAND"}};
  for (const Json& guest : answer.data) {
    rows.push_back(
        {std::to_string(number_of(guest, "pid")), text_of(guest, "home"),
         std::to_string(number_of(guest, "home_pid")), std::to_string(number_of(guest, "uid")),
         std::to_string(number_of(guest, "threads")), human_bytes(number_of(guest, "rss_bytes")),
         fmt::format("{:.1f}", json_number(guest, "cpu_s", 0, 1e12).value_or(0)), since_of(guest),
         text_of(guest, "command")});
  }
  return print_text(format_table(rows, stdout_columns(), stdout_colour()));
}

int expel(int pid, int limit_s, bool json) {
  const Milliseconds limit = std::chrono::seconds(limit_s);
  Json question{{"verb", "expel"}, {"timeout_ms", limit.count()}};
  if (pid != 0) question["guest"] = pid;
  const Answer answer = request(question, limit + kPatience);
  if (!answer.ok) {
    complain_of_guests(answer.data);
    return report(answer.failure);
  }
  if (json) return print_json(answer.data);
  const uint64_t gone = number_of(answer.data, "gone");
  return print_text(fmt::format("{} guest{} went home.\n", gone, gone == 1 ? "" : "s"));
}

int bring(int limit_s, bool json) {
  const Milliseconds limit = std::chrono::seconds(limit_s);
  const Answer answer =
      request({{"verb", "bring"}, {"timeout_ms", limit.count()}}, limit + kPatience);
  if (!answer.ok) {
    complain_of_left(answer.data);
    return report(answer.failure);
  }
  if (json) return print_json(answer.data);
  const uint64_t home = number_of(answer.data, "home");
  return print_text(fmt::format("{} process{} at home.\n", home, home == 1 ? " is" : "es are"));
}

}  // namespace om::cli
