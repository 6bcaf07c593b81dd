// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/cluster_verbs.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"
#include "migrator/control/node_facts.h"

namespace om::migrator {
namespace {

constexpr int64_t kDefaultLife = 3600;
constexpr int kDefaultInitUses = 100, kDefaultUses = 1;
constexpr int64_t kMaxLife = std::chrono::seconds(kMaxTokenLife).count();
constexpr size_t kMaxTokenText = 256, kMaxAddressText = 300, kMaxCaText = 32 << 10;

// Life and uses of a new token.
struct Terms {
  std::chrono::seconds life{0};
  int uses = 0;
};

Result<Terms> read_terms(const Json& request, int default_uses) {
  Terms terms;
  terms.life =
      std::chrono::seconds(OM_TRY(json_int_or(request, "ttl_s", 1, kMaxLife, kDefaultLife)));
  terms.uses =
      static_cast<int>(OM_TRY(json_int_or(request, "uses", 1, kMaxTokenUses, default_uses)));
  return terms;
}

Json describe(const Token& token, const Terms& terms, WallTime now) {
  return {{"token", token.text()},
          {"id", token.id_text()},
          {"uses", terms.uses},
          {"expires", rfc3339(now + terms.life)}};
}

}  // namespace

void ClusterVerbs::init(const Caller&, const Json& request, Answerer answer) {
  const auto name = json_string(request, "name", kMaxNodeName);
  if (!name) return answer(bad_request(name.error()));
  if (!valid_node_name(*name)) {
    return answer(bad_request(plain_error(
        fmt::format("{} is no cluster name: a-z, 0-9 and '-', at most 63", escaped(*name, 80)))));
  }
  const auto terms = read_terms(request, kDefaultInitUses);
  if (!terms) return answer(bad_request(terms.error()));
  auto token = services_.cluster.init(*name, terms->life, terms->uses);
  if (!token) return answer(failure_answer(token.error()));
  Json data = describe(*token, *terms, services_.clock.wall());
  data.update({{"cluster", *name},
               {"node", services_.name},
               {"number", services_.cluster.member()->number()},
               {"address", services_.address.text()},
               {"hint", services_.address.is_loopback()
                            ? "this daemon listens on a loopback address: for other machines start "
                              "it with --listen and an address of this one"
                            : ""}});
  answer(ok_answer(std::move(data)));
}

void ClusterVerbs::join(const Caller&, const Json& request, Answerer answer) {
  const auto token = json_string(request, "token", kMaxTokenText);
  const auto address = json_string_or(request, "address", kMaxAddressText, "");
  if (!token) return answer(bad_request(token.error()));
  if (!address) return answer(bad_request(address.error()));
  if (!address->empty() && !Address::could_be(*address)) {
    return answer(
        bad_request(plain_error(escaped(*address, 80) + " is no address and no name of a host")));
  }
  services_.cluster_service.join(*token, *address,
                                 [this, answer = std::move(answer)](Cluster::Answer<Done> joined) {
                                   if (!joined) return answer(failure_answer(joined.error()));
                                   answer(ok_answer(services_.cluster.status()));
                                 });
}

void ClusterVerbs::status(const Caller&, const Json&, Answerer answer) {
  Json data = services_.cluster.status();
  if (!services_.cluster.member()) return answer(ok_answer(std::move(data)));
  // Those that this node has only heard of.
  for (const KnownMember& member : services_.membership.members()) {
    const bool met = services_.cluster.members()->find(member.id) != nullptr;
    if (!met) data["members"].push_back(to_json(member));
  }
  for (Json& member : data["members"]) {
    const std::string name = member.value("name", "");
    const bool self = name == services_.name;
    const PeerLink* link = services_.peers.find(name);
    member["self"] = self;
    member["state"] = self || (link != nullptr && link->up()) ? "up" : "down";
  }
  if (const std::string warning = cluster_warning(services_); !warning.empty())
    data["warning"] = warning;
  answer(ok_answer(std::move(data)));
}

void ClusterVerbs::leave(const Caller&, const Json& request, Answerer answer) {
  const auto force = json_bool_or(request, "force", false);
  if (!force) return answer(bad_request(force.error()));
  if (const auto no = services_.cluster.may_leave(*force)) return answer(failure_answer(*no));
  if (leaving_ || drain_.under_way())
    return answer(failure_answer({ExitCode::kFailure, "this node is leaving already"}));
  leaving_ = true;
  const bool closed = drain_.closed();  // it was emptied before, and stays so
  drain_.begin(Drain::kUsualLimit, [this, closed, force = *force, answer](Json recalled) {
    if (!is_empty(recalled) && !force) {
      leaving_ = false;
      if (!closed) drain_.reopen();
      return answer(failure_answer({ExitCode::kSomeLeft,
                                    "some processes did not go home; --force leaves them to "
                                    "their fate"},
                                   std::move(recalled)));
    }
    const std::string cluster =
        services_.cluster.member() ? services_.cluster.member()->cluster() : "";
    services_.cluster.set_leaving(true);
    services_.cluster_service.say_farewell(
        [this, closed, force, answer, cluster, recalled]() mutable {
          leaving_ = false;
          if (!closed) drain_.reopen();
          const auto left = services_.cluster.leave(force);
          if (!left) return answer(failure_answer(left.error()));
          recalled.update({{"cluster", cluster}, {"node", services_.name}});
          answer(ok_answer(std::move(recalled)));
        });
  });
}

void ClusterVerbs::renew(const Caller&, const Json&, Answerer answer) {
  services_.cluster_service.renew(
      [this, answer = std::move(answer)](Cluster::Answer<std::string> signer) {
        if (!signer) return answer(failure_answer(signer.error()));
        const auto& member = services_.cluster.member();
        answer(ok_answer(
            {{"signer", *signer},
             {"certificate_until", member ? rfc3339(member->certificate().not_after) : ""}}));
      });
}

void ClusterVerbs::remove(const Caller&, const Json& request, Answerer answer) {
  const auto node = json_string(request, "node", kMaxNodeName);
  const auto reason = json_string_or(request, "reason", kMaxDenyReason, "");
  if (!node) return answer(bad_request(node.error()));
  if (!reason) return answer(bad_request(reason.error()));
  auto entry = services_.cluster.remove(*node, *reason);
  if (!entry) return answer(failure_answer(entry.error()));
  answer(ok_answer({{"name", entry->name},
                    {"id", entry->node.text()},
                    {"reason", entry->reason},
                    {"told", services_.cluster_service.spread_denied(entry->name)}}));
}

void ClusterVerbs::export_ca(const Caller&, const Json& request, Answerer answer) {
  const auto passphrase = json_string(request, "passphrase", kMaxPassphrase);
  if (!passphrase) return answer(bad_request(passphrase.error()));
  auto text = services_.cluster.export_ca(*passphrase);
  if (!text) return answer(failure_answer(text.error()));
  answer(ok_answer({{"text", *text}, {"cluster", services_.cluster.member()->cluster()}}));
}

void ClusterVerbs::import_ca(const Caller&, const Json& request, Answerer answer) {
  const auto text = json_string(request, "text", kMaxCaText);
  const auto passphrase = json_string(request, "passphrase", kMaxPassphrase);
  if (!text) return answer(bad_request(text.error()));
  if (!passphrase) return answer(bad_request(passphrase.error()));
  const auto imported = services_.cluster.import_ca(*text, *passphrase);
  if (!imported) return answer(failure_answer(imported.error()));
  answer(ok_answer({{"node", services_.name}, {"cluster", services_.cluster.member()->cluster()}}));
}

void ClusterVerbs::create_token(const Caller&, const Json& request, Answerer answer) {
  const auto terms = read_terms(request, kDefaultUses);
  if (!terms) return answer(bad_request(terms.error()));
  auto signer = services_.cluster.signer();
  if (!signer) return answer(failure_answer(signer.error()));
  const auto token = (*signer)->tokens().create((*signer)->ca().cluster(), (*signer)->ca().hash(),
                                                terms->life, terms->uses);
  if (!token) return answer(failure_answer({ExitCode::kFailure, token.error().text()}));
  Json data = describe(*token, *terms, services_.clock.wall());
  data["address"] = services_.address.text();
  const std::string id = token->id_text();
  services_.cluster_service.share_token(
      id, [this, id, data = std::move(data), answer](const std::optional<Failure>& failure) {
        if (!failure) return answer(ok_answer(data));
        // Nobody has seen it.
        if (auto own = services_.cluster.signer()) (void)(*own)->tokens().revoke(id);
        answer(failure_answer(*failure));
      });
}

void ClusterVerbs::list_tokens(const Caller&, const Json&, Answerer answer) {
  auto signer = services_.cluster.signer();
  if (!signer) return answer(failure_answer(signer.error()));
  Json list = Json::array();
  for (const TokenStore::Listed& token : (*signer)->tokens().list()) {
    const bool expired = services_.clock.wall() >= token.expires;
    list.push_back({{"id", token.id},
                    {"uses_left", token.uses_left},
                    {"expires", rfc3339(token.expires)},
                    {"state", expired               ? "expired"
                              : token.uses_left > 0 ? "good"
                                                    : "used up"}});
  }
  answer(ok_answer(std::move(list)));
}

void ClusterVerbs::revoke_token(const Caller&, const Json& request, Answerer answer) {
  const auto id = json_string(request, "id", 64);
  if (!id) return answer(bad_request(id.error()));
  auto signer = services_.cluster.signer();
  if (!signer) return answer(failure_answer(signer.error()));
  if (!(*signer)->tokens().all().contains(*id)) {
    return answer(
        failure_answer({ExitCode::kNotFound,
                        fmt::format("there is no token {}: om token list", escaped(*id, 40))}));
  }
  services_.cluster_service.unshare_token(
      *id, [this, id = *id, answer](const std::optional<Failure>& failure) {
        if (failure) return answer(failure_answer(*failure));
        auto own = services_.cluster.signer();
        if (!own) return answer(failure_answer(own.error()));
        const auto revoked = (*own)->tokens().revoke(id);
        if (!revoked) return answer(failure_answer({ExitCode::kFailure, revoked.error().text()}));
        answer(ok_answer({{"id", id}}));
      });
}

}  // namespace om::migrator
