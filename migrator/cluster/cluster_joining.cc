// SPDX-License-Identifier: Apache-2.0
//
// The part of ClusterService that is about joins, on both sides.
#include <fmt/core.h>
#include <kj/debug.h>

#include <deque>

#include "common/base/log.h"
#include "migrator/cluster/cluster_service.h"
#include "migrator/identity/failures.h"

namespace om::migrator {
namespace {

// Addresses that a joiner tries altogether.
constexpr size_t kMaxTries = 8;

// Fulfilled when `found` has been set.
kj::Promise<void> look_up(Loop& loop, const std::string& text,
                          const std::shared_ptr<Result<Address>>& found) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<void>>>(kj::mv(pair.fulfiller));
  run_in_pool(
      loop, [text, found] { *found = Address::look_up(text, kDefaultPort); },
      [fulfiller] { (*fulfiller)->fulfill(); });
  return kj::mv(pair.promise);
}

// What a step with shared tokens came to, when its promise is fulfilled.
using Outcome = std::shared_ptr<std::optional<Failure>>;

// Fulfilled when `start` has called what it is given, which sets `outcome`.
kj::Promise<void> done_by(const std::function<void(SharedTokens::Done)>& start,
                          const Outcome& outcome) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<void>>>(kj::mv(pair.fulfiller));
  start([fulfiller, outcome](std::optional<Failure> failure) {
    *outcome = std::move(failure);
    (*fulfiller)->fulfill();
  });
  return kj::mv(pair.promise);
}

JoinAnswer turned_away(Failure failure, const Address& from) {
  log_warn("cluster", "{} may not join: {}", from.host(), failure.message);
  JoinAnswer answer;
  answer.failure = std::move(failure);
  return answer;
}

}  // namespace

// A join under way. `result` counts when the promise is fulfilled.
struct ClusterService::Joining {
  ClusterService& service;
  Cluster::Application application;
  std::deque<Address> next{};     // to be asked
  std::set<std::string> asked{};  // addresses
  std::optional<Failure> failure = no_member("no address is left to ask");

  kj::Promise<void> try_next() {
    while (!next.empty() && !asked.insert(next.front().text()).second) next.pop_front();
    if (next.empty() || asked.size() > kMaxTries) return kj::READY_NOW;
    const Address to = next.front();
    next.pop_front();
    const Address& own = service.cluster_.local().address;
    if (own.is_loopback() && !to.is_loopback()) {
      failure = Failure{
          ExitCode::kFailure,
          fmt::format("this node listens on {} only, where {} cannot reach it: start om-migrator "
                      "with --listen and an address of this machine",
                      own.host(), to.host())};
      return kj::READY_NOW;
    }
    // A node that listens on a loopback address of its own is recognised by it.
    const Address from = own.is_loopback() ? own : Address();
    return ask_to_join(service.kj_, from, to, application.token, application.request, own.text())
        .then([this, to](JoinReply reply) { take(to, reply); },
              [this, to](kj::Exception&& exception) {
                failure = no_member(fmt::format("{}: {}", to.text(), text_of(exception)));
              })
        .then([this] { return try_next(); });
  }

  // What it says is final, but if it names others.
  void take(const Address& to, const JoinReply& reply) {
    if (reply.answer.ok) {
      next.clear();
      const auto joined = service.cluster_.join(application, reply);
      failure = joined ? std::nullopt : std::optional(joined.error());
      return;
    }
    failure = reply.answer.failure;
    failure->message = fmt::format("{}: {}", to.text(), failure->message);
    if (!failure->is(ReasonCode::kNoSigner)) return next.clear();
    for (const std::string& text : reply.answer.signers) {
      if (const auto signer = Address::parse(text)) next.push_back(*signer);
    }
  }
};

void ClusterService::join(const std::string& token, const std::string& address,
                          std::function<void(Answer<Done>)> done) {
  auto application = cluster_.apply(token);
  if (!application) return done(application.error());
  auto joining = std::make_shared<Joining>(Joining{*this, std::move(*application)});
  tasks_->add(find_members(joining, address)
                  .then([joining]() -> kj::Promise<void> { return joining->try_next(); })
                  .catch_([joining](kj::Exception&& exception) {
                    joining->failure = Failure{ExitCode::kFailure, text_of(exception)};
                  })
                  .then([joining, done] {
                    done(joining->failure ? Answer<Done>(*joining->failure) : Answer<Done>(Done()));
                  }));
}

kj::Promise<void> ClusterService::find_members(const std::shared_ptr<Joining>& joining,
                                               const std::string& address) {
  if (!address.empty()) {
    auto found = std::make_shared<Result<Address>>(plain_error(""));
    return look_up(kj_.loop(), address, found).then([joining, found] {
      if (*found) {
        joining->next.push_back(**found);
      } else {
        joining->failure = no_member(found->error().text());
      }
    });
  }
  const std::string hint = "om cluster join TOKEN ADDRESS[:PORT], with the address of a member";
  auto pair = kj::newPromiseAndFulfiller<void>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<void>>>(kj::mv(pair.fulfiller));
  const auto take = [joining, fulfiller](const std::vector<Address>& found) {
    joining->next.assign(found.begin(), found.end());
    (*fulfiller)->fulfill();
  };
  if (!search_ || !search_(joining->application.token, take)) {
    joining->failure = no_member("this node has no way to look for one: " + hint);
    return kj::READY_NOW;
  }
  joining->failure =
      no_member(fmt::format("none of the cluster {} has answered on this network: {}",
                            joining->application.token.cluster, hint));
  return kj::mv(pair.promise);
}

// Whoever may not join has used nothing. What judge() finds afterwards is a token that this node has used already.
kj::Promise<JoinAnswer> ClusterService::judge(const JoinRequest& request,
                                              const std::string& exporter, const Address& from) {
  if (!cluster_.may_sign()) return cluster_.judge(request, exporter, from);
  const auto tokens = find_tokens_();
  if (!tokens) return turned_away(tokens.error(), from);
  if (*tokens == nullptr) return cluster_.judge(request, exporter, from);
  const std::string id = to_base32(request.token);
  const auto outcome = std::make_shared<std::optional<Failure>>();
  auto refresh = [&](SharedTokens::Done done) { (*tokens)->refresh(id, std::move(done)); };
  return done_by(refresh, outcome)
      .then([this, request, exporter, from, id, outcome]() -> kj::Promise<JoinAnswer> {
        if (*outcome) return turned_away(**outcome, from);
        const auto node = cluster_.examine(request, exporter);
        if (!node) return turned_away(node.error(), from);
        const auto again = find_tokens_();  // this node may have left meanwhile
        if (!again) return turned_away(again.error(), from);
        if (*again == nullptr) return cluster_.judge(request, exporter, from);
        auto claim = [&](SharedTokens::Done done) { (*again)->claim(id, *node, std::move(done)); };
        return done_by(claim, outcome).then([this, request, exporter, from, outcome] {
          if (*outcome) return turned_away(**outcome, from);
          return cluster_.judge(request, exporter, from);
        });
      });
}

void ClusterService::share_token(const std::string& id, SharedTokens::Done done) {
  const auto tokens = find_tokens_();
  if (!tokens) return done(tokens.error());
  if (*tokens == nullptr) return done(std::nullopt);
  (*tokens)->publish(id, std::move(done));
}

void ClusterService::unshare_token(const std::string& id, SharedTokens::Done done) {
  const auto tokens = find_tokens_();
  if (!tokens) return done(tokens.error());
  if (*tokens == nullptr) return done(std::nullopt);
  (*tokens)->revoke(id, std::move(done));
}

kj::Promise<void> ClusterService::serve(kj::Own<TlsStream> stream, const Address& from) {
  return serve_joiner(kj_, kj::mv(stream),
                      [this, from](const JoinRequest& request, const std::string& exporter) {
                        return judge(request, exporter, from);
                      });
}

}  // namespace om::migrator
