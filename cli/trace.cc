// SPDX-License-Identifier: Apache-2.0
//
// om trace PID: prints the forwarded calls of a process as they are executed here, until it ends or Ctrl-C; with
// --summary a table of counts at the end. A process at home forwards nothing: om waits until it leaves.
#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

constexpr long kIdleNs = 50'000'000, kBusyNs = 5'000'000;

volatile sig_atomic_t interrupted = 0;

struct Count {
  int64_t calls = 0, errors = 0, ns = 0;
};
using Counts = std::map<std::string, Count>;

int64_t signed_of(const Json& item, const char* key) {
  return json_int_or(item, key, INT64_MIN, INT64_MAX, 0).value_or(0);
}

std::string line_of(const Json& r) {
  const std::string error = long_text_of(r, "error");
  const auto started = static_cast<time_t>(signed_of(r, "started_ns") / 1'000'000'000);
  tm when{};
  ::localtime_r(&started, &when);
  return fmt::format("{:02}:{:02}:{:02}.{:06} [{}] {}({}) = {} <{:.6f}>\n", when.tm_hour,
                     when.tm_min, when.tm_sec, signed_of(r, "started_ns") / 1000 % 1'000'000,
                     signed_of(r, "tid"), long_text_of(r, "call"), long_text_of(r, "arguments"),
                     error.empty() ? std::to_string(signed_of(r, "result")) : "-1 " + error,
                     static_cast<double>(signed_of(r, "took_ns")) / 1e9);
}

Counts counts_of(const Json& data) {
  Counts out;
  auto list = data.find("counts");
  if (list == data.end() || !list->is_array()) return out;
  for (const Json& item : *list) {
    out[long_text_of(item, "call")] = {signed_of(item, "calls"), signed_of(item, "errors"),
                                       signed_of(item, "ns")};
  }
  return out;
}

// Adds the increase from `before` to `now`; `before` is empty if `now` is from another session.
void add(Counts& total, const Counts& before, const Counts& now) {
  for (const auto& [call, count] : now) {
    auto it = before.find(call);
    const Count old = it == before.end() ? Count{} : it->second;
    total[call].calls += count.calls - old.calls;
    total[call].errors += count.errors - old.errors;
    total[call].ns += count.ns - old.ns;
  }
}

int print_summary(const Counts& total, bool json) {
  std::vector<std::pair<std::string, Count>> order(total.begin(), total.end());
  std::erase_if(order, [](const auto& entry) { return entry.second.calls == 0; });
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second.ns > b.second.ns; });
  int64_t all = 0;
  for (const auto& entry : order) all += entry.second.ns;
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows{
      {">% TIME", ">SECONDS", ">US/CALL", ">CALLS", ">ERRORS", "CALL"}};
  for (const auto& [call, c] : order) {
    list.push_back({{"call", call}, {"calls", c.calls}, {"errors", c.errors}, {"ns", c.ns}});
    const double share =
        all == 0 ? 0 : 100.0 * static_cast<double>(c.ns) / static_cast<double>(all);
    rows.push_back({fmt::format("{:.2f}", share),
                    fmt::format("{:.6f}", static_cast<double>(c.ns) / 1e9),
                    std::to_string(c.ns / 1000 / c.calls), std::to_string(c.calls),
                    c.errors == 0 ? "" : std::to_string(c.errors), call});
  }
  if (json) return print_json(list);
  return print_text(format_table(rows, stdout_columns(), stdout_colour()));
}

}  // namespace

int trace(const TraceArguments& arguments) {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  int64_t session = -1, cursor = 0;
  Counts before, total;
  bool told = false;
  for (bool first = true; interrupted == 0; first = false) {
    Answer answer = request({{"verb", "trace"}, {"pid", arguments.pid}, {"cursor", cursor}});
    if (!answer.ok) {
      if (first) return report(answer.failure);
      if (answer.failure.exit == ExitCode::kNotFound) break;  // it has ended
      return report(answer.failure);
    }
    const Json& data = answer.data;
    const int64_t now = signed_of(data, "session");
    if (now == 0) {
      if (!std::exchange(told, true))
        complain("the process is at home and forwards nothing; waiting until it leaves");
    } else if (now != session) {
      // Counts and numbers restart with every departure. If the process is away already, the first answer is our
      // starting point.
      if (session == -1 && !told) {
        before = counts_of(data);
      } else {
        before.clear();
      }
      session = now;
    }
    const Counts counts = counts_of(data);
    add(total, before, counts);
    if (now != 0) before = counts;
    if (!arguments.summary) {
      if (signed_of(data, "lost") > 0)
        complain(fmt::format("{} calls were too quick to be printed", signed_of(data, "lost")));
      auto records = data.find("records");
      std::string text;
      if (records != data.end() && records->is_array()) {
        for (const Json& r : *records) {
          if (!r.is_object()) continue;
          text += arguments.json ? r.dump() + "\n" : line_of(r);
        }
      }
      if (!text.empty()) {
        if (int status = print_text(text); status != 0) return status;
        if (records->size() >= 1000) {
          cursor = signed_of(data, "next");
          continue;  // there is more
        }
      }
    }
    timespec pause{0, signed_of(data, "next") == cursor ? kIdleNs : kBusyNs};
    cursor = signed_of(data, "next");
    ::nanosleep(&pause, nullptr);
  }
  return arguments.summary ? print_summary(total, arguments.json) : 0;
}

}  // namespace om::cli
