// SPDX-License-Identifier: Apache-2.0
#include "sim/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <unordered_map>

#include "common/base/text.h"

namespace om::sim {
namespace {

struct Word {
  double* value;
  double least, most;
};
using Words = std::map<std::string_view, Word>;

// Pairs of a word and a number, to the end of the line.
Result<void> read_pairs(std::string_view& line, const Words& words) {
  for (std::string_view name = take_field(line); !name.empty(); name = take_field(line)) {
    const auto word = words.find(name);
    if (word == words.end()) return plain_error("unknown word " + std::string(name));
    double value = 0;
    const std::string_view text = take_field(line);
    if (!parse_number(text, value) || !(value >= word->second.least && value <= word->second.most))
      return plain_error(std::string(name) + " cannot be " + std::string(text));
    *word->second.value = value;
  }
  return {};
}

Result<NodeSpec> read_node(std::string_view line) {
  NodeSpec node;
  node.name = take_field(line);
  if (node.name.empty()) return plain_error("a node without a name");
  node.machine.threads = 0;
  double memory = node.bytes / kMebibyte, level = node.feature_class, lies = 0;
  OM_TRY(read_pairs(line, {{"cores", {&node.machine.cores, 1, 65535}},
                           {"threads", {&node.machine.threads, 1, 65535}},
                           {"speed", {&node.machine.speed, 0.001, 65}},
                           {"memory", {&memory, 1, 4e6}},
                           {"class", {&level, 0, 255}},
                           {"joins", {&node.joins_s, 0, 1e9}},
                           {"dies", {&node.dies_s, 0, 1e9}},
                           {"leaves", {&node.leaves_s, 0, 1e9}},
                           {"lies", {&lies, 0, 1}}}));
  node.machine.threads = std::max(node.machine.threads, node.machine.cores);
  node.bytes = memory * kMebibyte;
  node.feature_class = static_cast<uint8_t>(level);
  node.lies = lies > 0;
  return node;
}

struct NamedJob {
  JobSpec job;
  std::string home;
};

Result<NamedJob> read_job(std::string_view line) {
  NamedJob named;
  JobSpec& job = named.job;
  if (!parse_number(take_field(line), job.arrives_s) ||
      !(job.arrives_s >= 0 && job.arrives_s <= 1e9))
    return plain_error("a job without a time");
  named.home = take_field(line);
  double memory = job.bytes / kMebibyte;
  job.work_s = 0;
  OM_TRY(read_pairs(line, {{"work", {&job.work_s, 1e-3, 1e9}},
                           {"threads", {&job.threads, 1, 65535}},
                           {"memory", {&memory, 0, 4e6}},
                           {"calls", {&job.calls_per_cpu_s, 0, 1e9}}}));
  if (job.work_s <= 0) return plain_error("a job without work");
  job.bytes = memory * kMebibyte;
  job.guessed_calls = job.calls_per_cpu_s;
  return named;
}

// Without an exponent, which is not read.
std::string plain(double value) {
  std::string text = fmt::format("{:.6f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string pair(const char* word, double value) {
  return std::string(" ") + word + " " + plain(value);
}

Result<void> read_line(std::string_view line, Scenario& scenario, std::vector<NamedJob>& jobs) {
  const std::string_view what = take_field(line);
  if (what.empty()) return {};
  if (what == "node" && scenario.nodes.size() < kMaxTraceNodes) {
    scenario.nodes.push_back(OM_TRY(read_node(line)));
  } else if (what == "job" && jobs.size() < kMaxTraceJobs) {
    jobs.push_back(OM_TRY(read_job(line)));
  } else if (what == "network") {
    Network& network = scenario.network;
    OM_TRY(read_pairs(line, {{"delay", {&network.delay_s, 0, 10}},
                             {"loss", {&network.loss, 0, 1}},
                             {"call", {&network.link.call_s, 0, 10}},
                             {"fixed", {&network.link.move_fixed_s, 0, 1000}},
                             {"rate", {&network.link.bytes_per_s, 1, 1e12}}}));
  } else if (what == "counted") {
    double& from = scenario.counted_from_s;
    if (!parse_number(take_field(line), from) || !(from >= 0 && from <= 1e9))
      return plain_error("no time");
  } else {
    return plain_error("unknown or too many: " + std::string(what));
  }
  return {};
}

}  // namespace

Result<Scenario> parse_trace(std::string_view text) {
  Scenario scenario;
  std::vector<NamedJob> jobs;
  for (size_t number = 1; !text.empty(); ++number) {
    std::string_view line = take_line(text);
    line = line.substr(0, line.find('#'));
    const auto read = read_line(line, scenario, jobs);
    if (!read) return plain_error("line " + std::to_string(number) + ": " + read.error().text());
  }
  std::unordered_map<std::string, size_t> numbers;
  for (size_t i = 0; i < scenario.nodes.size(); ++i) {
    if (!numbers.emplace(scenario.nodes[i].name, i).second)
      return plain_error("two nodes " + scenario.nodes[i].name);
  }
  if (numbers.empty()) return plain_error("no node");
  for (NamedJob& named : jobs) {
    const auto home = numbers.find(named.home);
    if (home == numbers.end()) return plain_error("a job of an unknown node " + named.home);
    named.job.home = home->second;
    scenario.jobs.push_back(named.job);
  }
  std::stable_sort(scenario.jobs.begin(), scenario.jobs.end(),
                   [](const JobSpec& a, const JobSpec& b) { return a.arrives_s < b.arrives_s; });
  return scenario;
}

Result<Scenario> read_trace(const std::string& path) {
  return parse_trace(OM_TRY(read_text(path)));
}

std::string trace_text(const Scenario& scenario) {
  const Network& network = scenario.network;
  std::string out = "network" + pair("delay", network.delay_s) + pair("loss", network.loss) +
                    pair("call", network.link.call_s) + pair("fixed", network.link.move_fixed_s) +
                    pair("rate", network.link.bytes_per_s) + "\ncounted " +
                    plain(scenario.counted_from_s) + "\n";
  for (const NodeSpec& node : scenario.nodes) {
    out += "node " + node.name + pair("cores", node.machine.cores) +
           pair("threads", node.machine.threads) + pair("speed", node.machine.speed) +
           pair("memory", node.bytes / kMebibyte) + pair("class", node.feature_class) +
           pair("joins", node.joins_s);
    if (node.dies_s < kNever) out += pair("dies", node.dies_s);
    if (node.leaves_s < kNever) out += pair("leaves", node.leaves_s);
    out += node.lies ? " lies 1\n" : "\n";
  }
  for (const JobSpec& job : scenario.jobs) {
    out += "job " + plain(job.arrives_s) + " " + scenario.nodes[job.home].name +
           pair("work", job.work_s) + pair("threads", job.threads) +
           pair("memory", job.bytes / kMebibyte) + pair("calls", job.calls_per_cpu_s) + "\n";
  }
  return out;
}

Result<void> write_trace(const Scenario& scenario, const std::string& path) {
  std::ofstream file(path);
  file << trace_text(scenario);
  file.flush();
  if (!file) return errno_error("write " + path);
  return {};
}

}  // namespace om::sim
