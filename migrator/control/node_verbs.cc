// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/node_verbs.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/version.h"
#include "migrator/control/recall.h"
#include "migrator/peers/peers_file.h"

namespace om::migrator {
namespace {

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

// How many connections were not made, by cause.
Json refused(const Refusals& refusals) {
  Json counts = Json::object();
  for (const auto& [cause, count] : refusals.counts()) counts[cause] = count;
  return counts;
}

}  // namespace

void NodeVerbs::version(const Caller&, const Json&, Answerer answer) {
  Json data = services_.ready_line();
  data["version"] = build_version();
  data["protocol"] = fmt::format("{}.{}", kProtocolMajor, kProtocolMinor);
  data["keeper_gate_abi"] = kKeeperGateAbi;
  answer(ok_answer(std::move(data)));
}

void NodeVerbs::nodes(const Caller&, const Json&, Answerer answer) {
  auto item = [](const NodeFacts& facts, const std::string& address) {
    return Json{{"name", facts.name},
                {"address", address},
                {"cpus", facts.cpus},
                {"load", facts.load_centis / 100.0},
                {"memory_bytes", facts.memory_bytes},
                {"free_bytes", facts.free_bytes},
                {"guests", facts.guests},
                {"kernel", facts.kernel},
                {"version", facts.build}};
  };
  Json list = Json::array();
  Json own = item(services_.facts.now(), services_.address.text());
  own.update({{"state", "up"},
              {"self", true},
              {"reason", ""},
              {"rtt_us", 0},
              {"encrypted", services_.trust.tls().has_value()},
              {"cluster", membership(services_.trust)},
              {"refused", refused(services_.refusals)}});
  list.push_back(std::move(own));
  for (const PeerLink* link : services_.peers.all()) {
    NodeFacts facts = link->facts().value_or(NodeFacts{});
    facts.name = link->peer().name;
    Json entry = item(facts, link->peer().address.text());
    entry.update({{"state", link->up() ? "up" : "down"},
                  {"self", false},
                  {"reason", link->reason()},
                  {"rtt_us", link->rtt_us()},
                  {"encrypted", link->encrypted()}});
    list.push_back(std::move(entry));
  }
  answer(ok_answer(std::move(list)));
}

void NodeVerbs::reload_peers(const Caller& caller, const Json&, Answerer answer) {
  if (const auto no = services_.rights.refuse_administration(caller))
    return answer(failure_answer(*no));
  auto reloaded = services_.reload_peers();
  if (!reloaded)
    return answer(
        failure_answer({ExitCode::kFailure, ReasonCode::kBadPeers, reloaded.error().text()}));
  answer(ok_answer(nullptr));
}

void NodeVerbs::reload_credentials(const Caller& caller, const Json&, Answerer answer) {
  if (const auto no = services_.rights.refuse_administration(caller))
    return answer(failure_answer(*no));
  auto reloaded = services_.reload_credentials();
  if (!reloaded)
    return answer(
        failure_answer({ExitCode::kFailure, ReasonCode::kInternal, reloaded.error().text()}));
  answer(ok_answer(nullptr));
}

void NodeVerbs::set_peers(const Caller& caller, const Json& request, Answerer answer) {
  if (const auto no = services_.rights.refuse_administration(caller))
    return answer(failure_answer(*no));
  auto list = request.find("peers");
  auto peers = peers_from_json(list == request.end() ? Json() : *list, services_.name);
  if (!peers) return answer(bad_request(peers.error()));
  services_.set_peers(std::move(*peers));
  answer(ok_answer(nullptr));
}

void NodeVerbs::recall(const Caller& caller, const Json& request, Answerer answer) {
  if (const auto no = services_.rights.refuse_administration(caller))
    return answer(failure_answer(*no));
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  recall_all(services_, Milliseconds(*limit),
             [answer = std::move(answer)](Json outcome) { answer(ok_answer(std::move(outcome))); });
}

}  // namespace om::migrator
