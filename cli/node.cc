// SPDX-License-Identifier: Apache-2.0
//
// om node info, om node why: what is known about one node, and why it takes no processes.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

Answer ask(const std::string& node) {
  Json question{{"verb", "node.info"}};
  if (!node.empty()) question["node"] = node;
  return request(question);
}

const Json& part_of(const Json& object, const char* key) {
  static const Json s_nothing = Json::object();
  const auto found = object.find(key);
  return found == object.end() || !found->is_object() ? s_nothing : *found;
}

std::string line(const char* name, const std::string& value) {
  return fmt::format("{:<16}{}\n", name, value);
}

std::string limit(const Json& limits, const char* key, const char* unit) {
  const uint64_t value = number_of(limits, key);
  return value == 0 ? "no limit" : fmt::format("{}{}", value, unit);
}

std::string confinement_text(const Json& confinement) {
  const Json& namespaces = part_of(confinement, "namespaces");
  const Json& cgroup = part_of(confinement, "cgroup");
  const Json& limits = part_of(confinement, "limits");
  const Json& used = part_of(confinement, "used");
  const bool possible = json_bool_or(namespaces, "possible", false).value_or(false);
  std::string controllers;
  if (const auto list = cgroup.find("controllers"); list != cgroup.end() && list->is_array()) {
    for (const Json& name : *list) {
      if (name.is_string()) controllers += " " + harmless(name.get<std::string>());
    }
  }
  return line("namespaces", text_of(namespaces, "configured") +
                                (possible ? ", possible here"
                                          : ", not possible: " + text_of(namespaces, "problem"))) +
         line("guests' users", text_of(confinement, "users")) +
         line("cgroups", text_of(cgroup, "version") + controllers) +
         line("CPU", text_of(limits, "guest_cpu")) +
         line("memory", fmt::format("{} a guest, {} all; they have {}",
                                    limit(limits, "guest_memory_mib", " MiB"),
                                    limit(limits, "guests_memory_mib", " MiB"),
                                    human_bytes(number_of(used, "memory_bytes")))) +
         line("threads",
              fmt::format("{} a guest, {} all; they have {}", limit(limits, "guest_threads", ""),
                          limit(limits, "guests_threads", ""), number_of(used, "threads"))) +
         line("guests", fmt::format("{} of {}; {} of one node, {} of one user of one node",
                                    number_of(used, "guests"), number_of(limits, "max_guests"),
                                    number_of(limits, "max_guests_per_home"),
                                    number_of(limits, "max_guests_per_user")));
}

// What this node is in its cluster, and the connections that were not made.
std::string trust_text(const Json& data) {
  const Json& cluster = part_of(data, "cluster");
  std::string causes;
  for (const auto& [cause, count] : part_of(data, "refused").items()) {
    if (count.is_number_unsigned())
      causes += fmt::format("{}{} {}", causes.empty() ? "" : ", ", count.get<uint64_t>(),
                            harmless(cause));
  }
  return line("cluster",
              cluster.empty()
                  ? "none"
                  : fmt::format("{}, this is its number {}, {}", text_of(cluster, "name"),
                                number_of(cluster, "number"), text_of(cluster, "node_id"))) +
         line("refused", causes.empty() ? "nobody" : causes);
}

std::string reasons_text(const Json& data) {
  std::string text;
  const auto reasons = data.find("refuses");
  if (reasons == data.end() || !reasons->is_array()) return text;
  for (const Json& reason : *reasons) {
    text += fmt::format("{}: {}\n", text_of(reason, "code"), text_of(reason, "message"));
    if (const std::string remedy = text_of(reason, "remedy"); !remedy.empty())
      text += "  " + remedy + "\n";
  }
  return text;
}

}  // namespace

int node_info(const std::string& node, bool json) {
  const Answer answer = ask(node);
  if (!answer.ok) return report(answer.failure);
  const Json& data = answer.data;
  if (json) return print_json(data);
  const bool up = text_of(data, "state") == "up";
  std::string text =
      line("node", text_of(data, "name") + " at " + text_of(data, "address")) +
      line("state", up ? "up" : "down: " + text_of(data, "reason")) +
      line("software", fmt::format("openMosix {}, protocol {}, Linux {}", text_of(data, "version"),
                                   text_of(data, "protocol"), text_of(data, "kernel"))) +
      line("machine",
           fmt::format("{} CPUs, load {:.2f}, {} of {} memory free", number_of(data, "cpus"),
                       json_number(data, "load", 0, 1e9).value_or(0),
                       human_bytes(number_of(data, "free_bytes")),
                       human_bytes(number_of(data, "memory_bytes"))));
  const Json& confinement = part_of(data, "confinement");
  // Of another node this one knows only how many guests it has.
  if (confinement.empty()) {
    const bool encrypted = json_bool_or(data, "encrypted", false).value_or(false);
    text += line("connection", encrypted ? "encrypted" : "not encrypted") +
            line("guests", std::to_string(number_of(data, "guests")));
  } else {
    text += trust_text(data) + confinement_text(confinement);
  }
  return print_text(text + reasons_text(data));
}

int node_why(const std::string& node, bool json) {
  const Answer answer = ask(node);
  if (!answer.ok) return report(answer.failure);
  const auto reasons = answer.data.find("refuses");
  const Json list = reasons == answer.data.end() ? Json::array() : *reasons;
  if (json) return print_json({{"node", text_of(answer.data, "name")}, {"reasons", list}});
  if (list.empty()) return print_text(text_of(answer.data, "name") + " takes processes\n");
  return print_text(reasons_text(answer.data));
}

}  // namespace om::cli
