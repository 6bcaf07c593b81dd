// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/node_verbs.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "balance/decide.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/version.h"
#include "common/proc/namespaces.h"
#include "migrator/control/node_facts.h"
#include "migrator/control/recall.h"
#include "migrator/peers/peers_file.h"

namespace om::migrator {
namespace {

constexpr std::chrono::seconds kNamespacesLast{5};

}  // namespace

void NodeVerbs::version(const Caller&, const Json&, Answerer answer) {
  Json data = services_.ready_line();
  data["version"] = build_version();
  data["protocol"] = fmt::format("{}.{}", kProtocolMajor, kProtocolMinor);
  data["keeper_gate_abi"] = kKeeperGateAbi;
  answer(ok_answer(std::move(data)));
}

void NodeVerbs::nodes(const Caller&, const Json& request, Answerer answer) {
  const auto all = json_bool_or(request, "all", false);
  if (!all) return answer(bad_request(all.error()));
  services_.peers.refresh(std::nullopt, [this, all = *all, answer = std::move(answer)] {
    Json list = Json::array();
    list.push_back(describe_self(services_));
    for (const PeerLink* link : services_.peers.all()) list.push_back(describe_peer(*link));
    if (all) {
      for (const Outsider& node : services_.membership.outsiders())
        list.push_back(describe_outsider(node));
    }
    answer(ok_answer(std::move(list)));
  });
}

void NodeVerbs::info(const Caller&, const Json& request, Answerer answer) {
  auto name = json_string_or(request, "node", kMaxNodeName, services_.name);
  if (!name) return answer(bad_request(name.error()));
  if (*name == services_.name) return info_of_self(std::move(answer));
  services_.peers.refresh(
      *name, [this, name = *name, answer = std::move(answer)] { info_of_peer(name, answer); });
}

void NodeVerbs::info_of_peer(const std::string& name, const Answerer& answer) {
  if (const PeerLink* link = services_.peers.find(name)) {
    Json data = describe_peer(*link);
    data["refuses"] = reasons_to_json(why_no_target(*link, services_));
    return answer(ok_answer(std::move(data)));
  }
  for (const Outsider& node : services_.membership.outsiders()) {
    if (node.name != name) continue;
    Json data = describe_outsider(node);
    data["refuses"] = reasons_to_json({why_outside(node)});
    return answer(ok_answer(std::move(data)));
  }
  answer(failure_answer(
      {ExitCode::kNotFound, ReasonCode::kNoSuchNode, "there is no node " + escaped(name, 80)}));
}

void NodeVerbs::info_of_self(Answerer answer) {
  const auto conclude = [this, answer = std::move(answer)] {
    Json data = describe_self(services_);
    std::vector<Reason> refuses = services_.admission.refuse_everybody();
    const bool required = services_.guest_namespaces == proc::Isolation::kRequire;
    if (required && !namespaces_->ok()) {
      refuses.push_back({ReasonCode::kBlocked, "guests must have namespaces of their own: " +
                                                   namespaces_->error().text()});
    }
    data["refuses"] = reasons_to_json(refuses);
    data["confinement"] = describe_confinement(services_, *namespaces_);
    answer(ok_answer(std::move(data)));
  };
  const MonotonicTime now = std::chrono::steady_clock::now();
  if (namespaces_ && now - looked_ < kNamespacesLast) return conclude();
  looked_ = now;
  auto found = std::make_shared<Result<void>>();
  run_in_pool(
      services_.loop, [found] { *found = proc::try_namespaces(); },
      [this, found, conclude] {
        namespaces_.emplace(*found);
        conclude();
      });
}

void NodeVerbs::reload_peers(const Caller&, const Json&, Answerer answer) {
  auto reloaded = services_.reload_peers();
  if (!reloaded)
    return answer(
        failure_answer({ExitCode::kFailure, ReasonCode::kBadPeers, reloaded.error().text()}));
  answer(ok_answer(nullptr));
}

void NodeVerbs::reload_credentials(const Caller&, const Json&, Answerer answer) {
  auto reloaded = services_.reload_credentials();
  if (!reloaded)
    return answer(
        failure_answer({ExitCode::kFailure, ReasonCode::kInternal, reloaded.error().text()}));
  answer(ok_answer(nullptr));
}

void NodeVerbs::set_peers(const Caller&, const Json& request, Answerer answer) {
  auto list = request.find("peers");
  auto peers = peers_from_json(list == request.end() ? Json() : *list, services_.name);
  if (!peers) return answer(bad_request(peers.error()));
  services_.set_peers(std::move(*peers));
  answer(ok_answer(nullptr));
}

void NodeVerbs::recall(const Caller&, const Json& request, Answerer answer) {
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  recall_all(services_, Milliseconds(*limit),
             [answer = std::move(answer)](Json outcome) { answer(ok_answer(std::move(outcome))); });
}

void NodeVerbs::drain(const Caller&, const Json& request, Answerer answer) {
  const auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, Drain::kUsualLimit.count());
  if (!limit) return answer(bad_request(limit.error()));
  const auto node = json_string_or(request, "node", kMaxNodeName, services_.name);
  if (!node) return answer(bad_request(node.error()));
  if (*node != services_.name)
    return remote_.drain_other(*node, Milliseconds(*limit), std::move(answer));
  if (drain_.under_way())
    return answer(failure_answer({ExitCode::kFailure, "this node is being emptied already"}));
  drain_.begin(Milliseconds(*limit), [answer = std::move(answer)](Json outcome) {
    answer(drain_answer(std::move(outcome)));
  });
}

void NodeVerbs::undrain(const Caller&, const Json& request, Answerer answer) {
  const auto node = json_string_or(request, "node", kMaxNodeName, services_.name);
  if (!node) return answer(bad_request(node.error()));
  if (*node != services_.name) return remote_.undrain_other(*node, std::move(answer));
  const bool closed = drain_.closed();
  drain_.reopen();
  answer(ok_answer({{"was_closed", closed}}));
}

}  // namespace om::migrator
