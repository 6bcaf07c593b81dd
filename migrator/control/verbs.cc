// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/verbs.h"

#include <nlohmann/json.hpp>

#include "common/base/log.h"

namespace om::migrator {

Verbs::Verbs(Services services, const Clock& clock)
    : services_(std::move(services)),
      drain_(services_),
      remote_control_(services_, drain_),
      newcomers_(services_.loop, clock),
      subjects_(services_),
      process_verbs_(services_, subjects_),
      node_verbs_(services_, drain_, remote_control_),
      guest_verbs_(services_),
      cluster_verbs_(services_, drain_),
      deputy_verbs_(services_, subjects_),
      table_(make_table()) {}

std::map<std::string, Verbs::Verb, std::less<>> Verbs::make_table() {
  auto by = [](auto& verbs, auto method) -> Run {
    return [&verbs, method](const Caller& caller, const Json& request, Answerer answer) {
      (verbs.*method)(caller, request, std::move(answer));
    };
  };
  // For those who administer this node.
  auto only_by = [this, &by](auto& verbs, auto method) -> Run {
    return [this, run = by(verbs, method)](const Caller& caller, const Json& request,
                                           Answerer answer) {
      if (const auto no = services_.rights.refuse_administration(caller))
        return answer(failure_answer(*no));
      run(caller, request, std::move(answer));
    };
  };
  return {
      {"version", {First::kLook, by(node_verbs_, &NodeVerbs::version)}},
      {"nodes", {First::kLook, by(node_verbs_, &NodeVerbs::nodes)}},
      {"node.info", {First::kLook, by(node_verbs_, &NodeVerbs::info)}},
      {"peers.reload", {First::kLook, only_by(node_verbs_, &NodeVerbs::reload_peers)}},
      {"cluster.reload", {First::kLook, only_by(node_verbs_, &NodeVerbs::reload_credentials)}},
      {"cluster.init", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::init)}},
      {"cluster.join", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::join)}},
      {"cluster.status", {First::kLook, by(cluster_verbs_, &ClusterVerbs::status)}},
      {"cluster.leave", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::leave)}},
      {"cluster.renew", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::renew)}},
      {"cluster.remove", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::remove)}},
      {"cluster.ca_export", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::export_ca)}},
      {"cluster.ca_import", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::import_ca)}},
      {"token.create", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::create_token)}},
      {"token.list", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::list_tokens)}},
      {"token.revoke", {First::kLook, only_by(cluster_verbs_, &ClusterVerbs::revoke_token)}},
      {"peers.set", {First::kLook, only_by(node_verbs_, &NodeVerbs::set_peers)}},
      {"node.drain", {First::kLook, only_by(node_verbs_, &NodeVerbs::drain)}},
      {"node.undrain", {First::kLook, only_by(node_verbs_, &NodeVerbs::undrain)}},
      {"guests", {First::kNothing, by(guest_verbs_, &GuestVerbs::list)}},
      {"expel", {First::kNothing, only_by(guest_verbs_, &GuestVerbs::expel)}},
      {"bring", {First::kNothing, by(guest_verbs_, &GuestVerbs::bring)}},
      {"recall", {First::kLook, only_by(node_verbs_, &NodeVerbs::recall)}},
      {"migrate", {First::kLookWhenWhole, by(process_verbs_, &ProcessVerbs::migrate)}},
      {"stack", {First::kLook, by(process_verbs_, &ProcessVerbs::stack)}},
      {"trace", {First::kLook, by(process_verbs_, &ProcessVerbs::trace)}},
      {"ps", {First::kLook, by(process_verbs_, &ProcessVerbs::ps)}},
      {"where", {First::kLook, by(process_verbs_, &ProcessVerbs::where)}},
      {"why", {First::kLook, by(process_verbs_, &ProcessVerbs::why)}},
      {"events", {First::kNothing, by(process_verbs_, &ProcessVerbs::events)}},
      {"epitaph", {First::kNothing, by(process_verbs_, &ProcessVerbs::epitaph)}},
      {"debug", {First::kLook, by(deputy_verbs_, &DeputyVerbs::debug)}},
      {"deputy.attach", {First::kLook, by(deputy_verbs_, &DeputyVerbs::refuse_attach)}},
  };
}

void Verbs::handle(const Caller& caller, const Json& request, Answerer answer) {
  auto name = json_string(request, "verb", 32);
  if (!name) return answer(bad_request(name.error()));
  auto it = table_.find(*name);
  if (it == table_.end())
    return answer(bad_request(plain_error("unknown verb " + escaped(*name, 40))));
  const Verb& verb = it->second;
  const auto pid = json_int_or(request, "pid", 1, kMaxPid, 0);
  if (!pid || *pid == 0) return verb.run(caller, request, std::move(answer));
  newcomers_.wait(
      [this, number = static_cast<pid_t>(*pid)] { return services_.processes.resolve(number); },
      verb.first == First::kLookWhenWhole,
      [this, &verb, caller, request, answer = std::move(answer)] {
        if (verb.first == First::kNothing) return verb.run(caller, request, answer);
        subjects_.look_first(caller, request, [&verb, caller, request, answer] {
          verb.run(caller, request, answer);
        });
      });
}

}  // namespace om::migrator
