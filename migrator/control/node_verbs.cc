// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/node_verbs.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "balance/decide.h"
#include "common/base/version.h"
#include "migrator/peers/peers_file.h"

namespace om::migrator {

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
  own.update({{"state", "up"}, {"self", true}, {"reason", ""}, {"rtt_us", 0}});
  list.push_back(std::move(own));
  for (const PeerLink* link : services_.peers.all()) {
    NodeFacts facts = link->facts().value_or(NodeFacts{});
    facts.name = link->peer().name;
    Json entry = item(facts, link->peer().address.text());
    entry.update({{"state", link->up() ? "up" : "down"},
                  {"self", false},
                  {"reason", link->reason()},
                  {"rtt_us", link->rtt_us()}});
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

void NodeVerbs::set_peers(const Caller& caller, const Json& request, Answerer answer) {
  if (const auto no = services_.rights.refuse_administration(caller))
    return answer(failure_answer(*no));
  auto list = request.find("peers");
  auto peers = peers_from_json(list == request.end() ? Json() : *list, services_.name);
  if (!peers) return answer(bad_request(peers.error()));
  services_.peers.set(*peers);
  answer(ok_answer(nullptr));
}

void NodeVerbs::recall(const Caller& caller, const Json& request, Answerer answer) {
  if (const auto no = services_.rights.refuse_administration(caller))
    return answer(failure_answer(*no));
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  struct Tally {
    size_t open = 1;  // one for this function
    size_t home = 0;
    Json failed = Json::array();
    Answerer answer;
    void done() {
      if (--open == 0) answer(ok_answer({{"home", home}, {"failed", failed}}));
    }
  };
  auto tally = std::make_shared<Tally>();
  tally->answer = std::move(answer);
  for (const balance::Action& action : balance::recall_all(services_.snapshot())) {
    ++tally->open;
    services_.moves.request(
        action.process, action.to, Milliseconds(*limit),
        [tally, pid = action.process.pid](Json result) {
          if (result["ok"] == true) {
            ++tally->home;
          } else {
            tally->failed.push_back(
                {{"pid", pid}, {"code", result["code"]}, {"message", result["message"]}});
          }
          tally->done();
        });
  }
  tally->done();
}

}  // namespace om::migrator
