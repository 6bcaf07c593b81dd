// SPDX-License-Identifier: Apache-2.0
#include "migrator/cluster/cluster_service.h"

#include <fmt/core.h>

#include <algorithm>

#include "common/base/log.h"
#include "migrator/identity/failures.h"
#include "migrator/peers/cluster_wire.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kUpkeepPeriod{60'000};
constexpr std::chrono::hours kDay{24};
// How many members are told at once of a removal or a farewell, and by each who has a new group key of that.
constexpr size_t kToldDirectly = 16, kToldOfKey = 3;

}  // namespace

// A renewal under way, by one signer after the other.
struct ClusterService::Renewal {
  ClusterService& service;
  std::vector<std::string> signers;  // to be asked, the last first
  std::string by{};                  // who has done it
  Failure failure;

  kj::Promise<void> try_next() {
    if (signers.empty() || !by.empty()) return kj::READY_NOW;
    const std::string name = signers.back();
    signers.pop_back();
    const auto request = service.cluster_.renewal_request();
    if (!request) return try_next();
    return service.client_of(name)
        .then([this, name,
               request = *request](wire::Member::Client node) { return ask(name, node, request); },
              [this, name](kj::Exception&& exception) {
                failure = refused(ReasonCode::kNoSigner, fmt::format("{} cannot be reached: {}",
                                                                     name, text_of(exception)));
              })
        .then([this] { return try_next(); });
  }

  kj::Promise<void> ask(const std::string& name, wire::Member::Client node,
                        const std::string& request) {
    return ask_renew(service.kj_, node, request)
        .then([this, name](Expected<std::string, Failure> renewed) { take(name, renewed); },
              [this, name](kj::Exception&& exception) {
                failure = {ExitCode::kFailure, fmt::format("{}: {}", name, text_of(exception))};
              });
  }

  void take(const std::string& name, const Expected<std::string, Failure>& renewed) {
    if (!renewed) {
      failure = renewed.error();
      failure.message = fmt::format("{}: {}", name, failure.message);
      return;
    }
    const auto taken = service.cluster_.take_certificate(*renewed);
    if (!taken) {
      failure = trouble(taken.error());
    } else {
      by = name;
    }
  }
};

ClusterService::ClusterService(UvKj& kj, const Clock& clock, Cluster& cluster, PeerTable& peers)
    : kj_(kj),
      clock_(clock),
      cluster_(cluster),
      peers_(peers),
      upkeep_(kj.loop()),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {
  desk_.news = [this] { return cluster_.news(); };
  desk_.heard = [this](const Certificate& peer, const ClusterNews& news, const Address& seen) {
    cluster_.heard(peer, news, seen);
    // What a member that has called knows better is asked for on this node's own connection.
    compare(peer.name, news);
  };
  desk_.compare = [this](const std::string& peer, const ClusterNews& news) { compare(peer, news); };
  desk_.renew = [this](const Certificate& peer, std::string_view request) {
    return cluster_.renew(peer, request);
  };
  desk_.exchange_denied = [this](const Certificate& peer, const std::vector<std::string>& entries) {
    cluster_.take_denied(entries, peer.name);
    return cluster_.denied_entries();
  };
  desk_.group_key = [this] {
    return cluster_.member() ? cluster_.member()->group_key() : GroupKey{};
  };
  desk_.farewell = [this](const Certificate& peer) { cluster_.left(peer.id); };
  desk_.denies = [this](const NodeId& node) { return cluster_.denies(node); };
  upkeep_.start_repeating(kUpkeepPeriod, [this] { do_upkeep(); });
}

ClusterService::~ClusterService() noexcept(false) { tasks_ = nullptr; }

void ClusterService::renew(std::function<void(Answer<std::string>)> done) {
  if (!cluster_.member()) return done(not_a_member());
  if (cluster_.may_sign()) {
    auto renewed = cluster_.renew_own();
    return done(renewed ? Answer<std::string>(cluster_.local().name)
                        : Answer<std::string>(renewed.error()));
  }
  auto renewal = std::make_shared<Renewal>(Renewal{*this, {}, {}, {}});
  for (const KnownMember& signer : cluster_.signers()) renewal->signers.push_back(signer.name);
  renewal->failure =
      refused(ReasonCode::kNoSigner,
              renewal->signers.empty() ? "this node knows none" : "none of them can be reached");
  tasks_->add(renewal->try_next()
                  .catch_([renewal](kj::Exception&& exception) {
                    renewal->failure = {ExitCode::kFailure, text_of(exception)};
                  })
                  .then([renewal, done] {
                    done(renewal->by.empty() ? Answer<std::string>(renewal->failure)
                                             : Answer<std::string>(renewal->by));
                  }));
}

void ClusterService::run(const std::string& what, const std::string& peer,
                         const std::function<kj::Promise<void>()>& start) {
  const std::string name = what + " " + peer;
  if (!running_.insert(name).second) return;
  tasks_->add(kj::evalNow([&] { return start(); })
                  .catch_([what, peer](kj::Exception&& exception) {
                    log_warn("cluster", "{}, {}: {}", peer, what, text_of(exception));
                  })
                  .then([this, name] { running_.erase(name); }));
}

void ClusterService::compare(const std::string& peer, const ClusterNews& news) {
  if (!cluster_.member() || news.listen.empty()) return;
  const ClusterNews mine = cluster_.news();
  const bool twin = news.group_key == mine.group_key && !news.key_check.empty() &&
                    news.key_check != mine.key_check;
  const uint32_t number = cluster_.member()->group_key().number;
  const bool newer = news.group_key > number && news.group_key - number <= GroupKey::kFarAhead;
  if (newer || (twin && !mine.listen.empty()))
    run("group key", peer, [&] { return fetch_group_key(peer); });
  const std::string& own = mine.denied;
  if (news.denied == own) return;
  // Two lists that stay different, because one is full, are not exchanged all the time.
  const std::string both = own + "/" + news.denied;
  if (compared_[peer] == both) return;
  compared_[peer] = both;
  run("removed nodes", peer, [&] { return exchange_denied(peer); });
}

kj::Promise<wire::Member::Client> ClusterService::client_of(const std::string& name) {
  PeerLink* link = peers_.find(name);
  if (link == nullptr) return KJ_EXCEPTION(DISCONNECTED, "it is no peer any more");
  return link->member();
}

kj::Promise<void> ClusterService::exchange_denied(const std::string& peer) {
  return client_of(peer)
      .then([this](wire::Member::Client node) {
        return ask_denied(kj_, node, cluster_.denied_entries());
      })
      .then(
          [this, peer](std::vector<std::string> entries) { cluster_.take_denied(entries, peer); });
}

// On a connection of its own: this node makes no other ones to it any more.
kj::Promise<void> ClusterService::tell_removed(const PeerLink& link) {
  return link.dial_anyway().then([this](kj::Own<NodeConnection> connection) {
    auto told = ask_denied(kj_, connection->node.castAs<wire::Member>(), cluster_.denied_entries());
    return told.ignoreResult().attach(kj::mv(connection));
  });
}

kj::Promise<void> ClusterService::fetch_group_key(const std::string& peer) {
  return client_of(peer)
      .then([this](wire::Member::Client node) { return ask_group_key(kj_, node); })
      .then([this, peer](GroupKey key) {
        const auto taken = cluster_.take_group_key(key);
        if (!taken) log_error("cluster", "group key of {}: {}", peer, taken.error().text());
        tell_of_key();
      });
}

kj::Promise<void> ClusterService::exchange_news(const std::string& peer) {
  return client_of(peer)
      .then([this](wire::Member::Client node) {
        return om::migrator::exchange_news(kj_, node, cluster_.news());
      })
      .then([this, peer](ClusterNews news) { compare(peer, news); });
}

void ClusterService::compare_with_some(size_t most) {
  for (const std::string& name : peers_.some_members(most))
    run("news", name, [&] { return exchange_news(name); });
}

void ClusterService::ask_for_key(const std::string& holder) {
  if (holder.empty() || peers_.find(holder) == nullptr) return compare_with_some(1);
  run("news", holder, [&] { return exchange_news(holder); });
}

// From each who has it to some others: so it reaches all in a few rounds, at the same cost for everybody.
void ClusterService::tell_of_key() {
  const auto& member = cluster_.member();
  if (!member || member->group_key().number == key_told_) return;
  key_told_ = member->group_key().number;
  compare_with_some(kToldOfKey);
}

size_t ClusterService::spread_denied(const std::string& removed) {
  size_t told = 0;
  for (const PeerLink* link : peers_.all()) {
    const std::string name = link->peer().name;
    if (name == removed) run("its removal", name, [&] { return tell_removed(*link); });
    if (name == removed || !link->encrypted()) continue;
    // The others hear of it from these, and from the membership.
    if (++told <= kToldDirectly) run("removed nodes", name, [&] { return exchange_denied(name); });
  }
  tell_of_key();
  return told;
}

void ClusterService::say_farewell(std::function<void()> done) {
  const auto spread = leave_ ? leave_() : std::nullopt;
  const auto names = peers_.some_members(spread ? kToldDirectly : kMaxKnownMembers);
  auto all = kj::heapArrayBuilder<kj::Promise<void>>(names.size() + 1);
  for (const std::string& name : names) {
    all.add(client_of(name)
                .then([this](wire::Member::Client node) {
                  return om::migrator::say_farewell(kj_, node);
                })
                .catch_([name](kj::Exception&& exception) {
                  log_warn("cluster", "{}, farewell: {}", name, text_of(exception));
                }));
  }
  all.add(kj_.after(spread.value_or(Milliseconds(0))));
  tasks_->add(kj::joinPromises(all.finish()).then([done] { done(); }));
}

void ClusterService::do_upkeep() {
  const auto& member = cluster_.member();
  if (!member) return;
  const WallTime now = clock_.wall();
  if (renewal_due(member->certificate(), now) && !renewing_) {
    renewing_ = true;
    renew([this](Answer<std::string> answer) {
      renewing_ = false;
      if (answer) {
        log_info("cluster", "the certificate was renewed by {}", *answer);
      } else {
        log_warn("cluster", "the certificate was not renewed: {}", answer.error().message);
      }
    });
  }
  if (cluster_.keeps_group_key() && cluster_.group_key_age() >= kGroupKeyLife) {
    const auto rotated = cluster_.rotate_group_key();
    if (!rotated) log_error("cluster", "new group key: {}", rotated.error().text());
  }
  tell_of_key();
  // What got lost on its way is found in the end.
  compare_with_some(1);
  if (cluster_.lacks_signer() && now - complained_ >= kDay) {
    complained_ = now;
    cluster_.local().event("no_signer", "",
                           "no machine that may sign has been seen for a week: certificates will "
                           "expire");
  }
}

}  // namespace om::migrator
