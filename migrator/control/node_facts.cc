// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/node_facts.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "balance/decide.h"
#include "common/base/hex.h"
#include "common/base/version.h"
#include "common/proc/namespaces.h"

namespace om::migrator {
namespace {

Json describe(const NodeFacts& facts, const std::string& address) {
  return Json{
      {"name", facts.name},
      {"address", address},
      {"cpus", facts.cpus},
      {"load", facts.load_centis / 100.0},
      {"memory_bytes", facts.memory_bytes},
      {"free_bytes", facts.free_bytes},
      {"guests", facts.guests},
      {"kernel", facts.kernel},
      {"version", facts.build},
      {"protocol", facts.protocol == 0 ? ""
                                       : fmt::format("{}.{}", protocol_major(facts.protocol),
                                                     facts.protocol & 0xffff)}};
}

// How busy and how fast this node is.
Json describe_load(const Services& services) {
  const Load& load = services.load.load();
  Json entry{{"running", std::round(services.load.running() * 100) / 100},
             {"cores", services.cpus.cores},
             {"threads", services.cpus.threads},
             {"speed", services.speed.now().value_or(0)},
             {"memory_pressure", nullptr},
             {"swap_bytes", load.memory().swap_bytes},
             {"swap_free_bytes", load.memory().swap_free_bytes}};
  if (load.pressure()) entry["memory_pressure"] = *load.pressure();
  return entry;
}

// What this node is in its cluster, or null.
Json membership(const Trust& trust) {
  const auto& member = trust.member();
  if (!member) return nullptr;
  const auto until = std::chrono::duration_cast<std::chrono::seconds>(
      member->certificate().not_after.time_since_epoch());
  return {{"name", member->cluster()},
          {"id", to_hex(member->cluster_id())},
          {"node_id", member->id().text()},
          {"number", member->number()},
          {"certificate_until", static_cast<int64_t>(until.count())}};
}

// How many connections were not made and how many datagrams not taken, by cause.
Json refused(const Services& services) {
  Json counts = Json::object();
  for (const auto& [cause, count] : services.refusals.counts()) counts[cause] = count;
  for (const auto& [cause, count] : services.membership.refused()) counts[cause] = count;
  return counts;
}

}  // namespace

std::string cluster_warning(const Services& services) {
  return services.cluster.lacks_signer() ? "no machine that may sign has been seen for a week" : "";
}

Json describe_self(const Services& services) {
  Json own = describe(services.facts.now(), services.address.text());
  own.update({{"state", "up"},
              {"self", true},
              {"reason", ""},
              {"rtt_us", 0},
              {"encrypted", services.trust.tls().has_value()},
              {"cluster", membership(services.trust)},
              {"refused", refused(services)},
              {"warning", cluster_warning(services)}});
  own.update(describe_load(services));
  return own;
}

Json describe_peer(const PeerLink& link) {
  NodeFacts facts = link.facts().value_or(NodeFacts{});
  facts.name = link.peer().name;
  Json entry = describe(facts, link.peer().address.text());
  entry.update({{"state", link.up() ? "up" : "down"},
                {"self", false},
                {"reason", link.reason()},
                {"rtt_us", link.rtt_us()},
                {"encrypted", link.encrypted()}});
  return entry;
}

Json describe_outsider(const Outsider& node) {
  NodeFacts facts;
  facts.name = node.name;
  Json entry = describe(facts, node.address);
  entry.update({{"state", node.state},
                {"self", false},
                {"reason", node.reason},
                {"rtt_us", 0},
                {"encrypted", false},
                {"id", node.id}});
  return entry;
}

Reason why_outside(const Outsider& node) {
  const ReasonCode code =
      node.other_version ? ReasonCode::kVersion : ReasonCode::kTargetUnreachable;
  return refuse(code, "{} is no member here: {}", node.name, node.reason);
}

Json describe_confinement(const Services& services, const Result<void>& namespaces) {
  const GuestAdmission::Policy& policy = services.admission.policy();
  const Keepers& keepers = services.keepers;
  const GuestUsage usage = keepers.usage();
  Json controllers = Json::array();
  for (const char* name : {"memory", "pids", "cpu"}) {
    if (keepers.groups().has(name)) controllers.push_back(name);
  }
  return Json{
      {"accept", policy.accepts ? "always" : "never"},
      {"namespaces",
       {{"configured", proc::isolation_name(services.guest_namespaces)},
        {"possible", namespaces.ok()},
        {"problem", namespaces.ok() ? "" : namespaces.error().text()}}},
      {"users", keepers.users().text()},
      {"own_uids", keepers.users().range().has_value()},
      {"cgroup", {{"version", keepers.groups().kind()}, {"controllers", std::move(controllers)}}},
      {"limits",
       {{"guest_cpu", proc::cpu_share_name(policy.resources.cpu)},
        {"guest_memory_mib", policy.resources.memory_bytes >> 20},
        {"guests_memory_mib", policy.resources.all_memory_bytes >> 20},
        {"guest_threads", policy.resources.threads},
        {"guests_threads", policy.resources.all_threads},
        {"memory_headroom_mib", policy.headroom_bytes >> 20},
        {"max_guests", policy.limits.in_all},
        {"max_guests_per_home", policy.limits.of_home},
        {"max_guests_per_user", policy.limits.of_user}}},
      {"used",
       {{"guests", keepers.count()},
        {"memory_bytes", usage.memory_bytes},
        {"threads", usage.threads}}}};
}

std::vector<Reason> why_no_target(const PeerLink& link, const Services& services) {
  std::vector<Reason> reasons;
  if (link.facts()) {
    const auto version = refuse_protocol(services.facts.fixed().protocol, link.facts()->protocol);
    if (version) reasons.push_back(*version);
  }
  if (auto down = balance::refuse_target(services.snapshot(), link.peer().name))
    reasons.push_back(std::move(*down));
  return reasons;
}

Json reasons_to_json(const std::vector<Reason>& reasons) {
  Json list = Json::array();
  for (const Reason& reason : reasons) {
    list.push_back(
        {{"code", reason.name()}, {"message", reason.message()}, {"remedy", reason.remedy()}});
  }
  return list;
}

}  // namespace om::migrator
