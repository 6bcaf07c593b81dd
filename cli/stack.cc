// SPDX-License-Identifier: Apache-2.0
//
// om stack PID: a backtrace of every thread of a process, wherever it runs, innermost frame first.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

std::string frame_text(size_t index, const Json& frame) {
  const std::string symbol = long_text_of(frame, "symbol"), module = long_text_of(frame, "module");
  std::string text = fmt::format("#{:<3} {}", index, long_text_of(frame, "ip"));
  if (!symbol.empty()) text += fmt::format(" {}+{:#x}", symbol, number_of(frame, "offset"));
  if (!module.empty()) {
    text += fmt::format(" in {}", module);
    if (symbol.empty()) text += fmt::format("+{:#x}", number_of(frame, "module_offset"));
  }
  if (json_bool_or(frame, "signal", false).value_or(false)) text += " <signal handler called>";
  return text + "\n";
}

}  // namespace

int stack(int pid, bool json) {
  Answer answer = request({{"verb", "stack"}, {"pid", pid}}, Milliseconds(35000));
  if (!answer.ok) return report(answer.failure);
  if (json) return print_json(answer.data);
  std::string text = fmt::format("process {} at {}\n", number_of(answer.data, "pid"),
                                 long_text_of(answer.data, "at"));
  auto threads = answer.data.find("threads");
  if (threads == answer.data.end() || !threads->is_array()) return print_text(text);
  for (const Json& thread : *threads) {
    const std::string call = long_text_of(thread, "call");
    text += fmt::format("\nthread {} ({}){}\n", number_of(thread, "tid"),
                        long_text_of(thread, "name"), call.empty() ? "" : ", in " + call);
    size_t index = 0;
    auto frames = thread.find("frames");
    if (frames == thread.end() || !frames->is_array()) continue;
    for (const Json& frame : *frames) text += frame_text(index++, frame);
  }
  return print_text(text);
}

}  // namespace om::cli
