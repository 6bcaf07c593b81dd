// SPDX-License-Identifier: Apache-2.0
//
// The part of Cluster that is between members: joiners let in, news, removals, renewals, the group key.
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/tls/openssl.h"
#include "migrator/cluster/cluster.h"
#include "migrator/identity/failures.h"
#include "migrator/processes/events.h"

namespace om::migrator {
namespace {

constexpr std::chrono::hours kSeenStep{1};
constexpr size_t kNodeIdDigits = 16;
constexpr size_t kKeyCheckBytes = 8;

// Where a node listens that says `listen` on a connection from, or to, `seen`. A node that listens on all its addresses
// has the one of the connection.
Result<std::string> reachable(const std::string& listen, const Address& seen) {
  const Address address = OM_TRY(Address::parse(listen));
  if (address.port() == 0) return plain_error("an address without a port");
  if (!address.is_any()) return address.text();
  Address other = seen;
  other.set_port(address.port());
  return other.text();
}

int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

Cluster::Answer<NodeId> Cluster::examine(const JoinRequest& request, const std::string& exporter) {
  auto signing = signer();
  if (!signing) return signing.error();
  return (*signing)->examine(request, exporter, {*members_, *denied_});
}

JoinAnswer Cluster::judge(const JoinRequest& request, const std::string& exporter,
                          const Address& from) {
  JoinAnswer answer;
  auto signing = signer();
  if (!signing) {
    answer.failure = signing.error();
    for (const KnownMember& other : signers()) {
      if (answer.signers.size() < kMaxJoinSigners) answer.signers.push_back(other.address);
    }
    return answer;
  }
  const auto address = reachable(request.address, from);
  if (!address) {
    answer.failure = refused(ReasonCode::kBadRequest, address.error().text());
    return answer;
  }
  auto admitted = (*signing)->admit(request, exporter, {*members_, *denied_});
  if (!admitted) {
    answer.failure = admitted.error();
    log_warn("cluster", "{} may not join: {}", from.host(), answer.failure.message);
    return answer;
  }
  answer.ok = true;
  answer.certificate = admitted->certificate;
  answer.group_key = member()->group_key();
  answer.members = {self(true)};
  for (const KnownMember& other : members_->all()) {
    if (other.id != admitted->id && other.id != member()->id() && !denies(other.id) &&
        answer.members.size() < kMaxKnownMembers)
      answer.members.push_back(other);
  }
  local_.event("joined", admitted->name,
               fmt::format("joined from {} as number {}", from.host(), admitted->number));
  // If it cannot be written down, it is met when it says hello.
  const auto learned =
      members_->learn({admitted->name, admitted->id, admitted->number, *address, false});
  if (!learned) log_warn("cluster", "{}, ignoring", learned.error().text());
  local_.members_changed();
  return answer;
}

Cluster::Answer<DenyEntry> Cluster::remove(const std::string& node, const std::string& reason) {
  auto signing = signer();
  if (!signing) return signing.error();
  const auto id = node.size() == kNodeIdDigits ? NodeId::parse(node) : plain_error("a name");
  const KnownMember* met = members_->find(node);
  if (met == nullptr && id) met = members_->find(*id);
  const NumberedNode* numbered = (*signing)->numbers().find(node);
  if (numbered == nullptr && id) numbered = (*signing)->numbers().find(*id);
  if (met == nullptr && numbered == nullptr)
    return Failure{ExitCode::kNotFound, Reason{ReasonCode::kNoSuchNode, escaped(node, 80)}};
  const NodeId gone = met != nullptr ? met->id : numbered->id;
  const std::string name = met != nullptr ? met->name : numbered->name;
  if (gone == member()->id()) {
    return Failure{ExitCode::kUsage, ReasonCode::kBadRequest,
                   fmt::format("{} is this node itself: om cluster leave", name)};
  }
  auto entry = (*signing)->remove(gone, name, reason);
  if (!entry) return entry.error();
  const auto added = denied_->add(entry->bytes, clock_.wall());
  if (!added) return trouble(added.error());
  // It knows the old one.
  const auto rotated = rotate_group_key();
  if (!rotated) log_error("cluster", "new group key: {}, ignoring", rotated.error().text());
  forget_removed(*entry);
  local_.denied(name);
  local_.members_changed();
  return entry;
}

void Cluster::forget_removed(const DenyEntry& entry) {
  const auto forgotten = members_->forget(entry.node);
  if (!forgotten) log_error("cluster", "{}, ignoring", forgotten.error().text());
  local_.pass_on_denied(entry);
  local_.event("denied", entry.name, removal_text(entry));
}

Json Cluster::status() const {
  Json out = {{"member", ready()}, {"node", local_.name}, {"address", local_.address.text()}};
  if (!ready()) {
    const auto state = OwnDirectory::open(trust_.directory());
    const auto identity =
        state && state->has(Identity::kFileName) ? Identity::open(*state) : plain_error("none yet");
    out["id"] = identity ? identity->id().text() : "no key yet";
    return out;
  }
  out.update({{"cluster", member()->cluster()},
              {"cluster_id", to_hex(member()->cluster_id())},
              {"id", member()->id().text()},
              {"number", member()->number()},
              {"signer", may_sign()},
              {"certificate_until", rfc3339(member()->certificate().not_after)},
              {"group_key", member()->group_key().number},
              {"denied", denies(member()->id())}});
  Json members = Json::array({to_json(self(may_sign()))});
  for (const KnownMember& other : members_->all()) {
    if (other.id != member()->id()) members.push_back(to_json(other));
  }
  Json removed = Json::array();
  for (const DenyEntry* entry : denied_->all()) {
    removed.push_back({{"name", entry->name},
                       {"id", entry->node.text()},
                       {"time", rfc3339(entry->time)},
                       {"reason", entry->reason}});
  }
  out["members"] = std::move(members);
  out["removed"] = std::move(removed);
  return out;
}

ClusterNews Cluster::news() const {
  if (!ready() || leaving_) return {};
  const GroupKey& key = member()->group_key();
  return {local_.address.text(), may_sign(), key.number, denied_->digest(),
          sha256(key.bytes).substr(0, kKeyCheckBytes)};
}

void Cluster::heard(const Certificate& peer, const ClusterNews& news, const Address& seen) {
  if (!ready() || news.listen.empty() || denies(peer.id)) return;
  const auto address = reachable(news.listen, seen);
  if (address) {
    met({peer.name, peer.id, peer.number, *address, news.signer});
  } else {
    log_warn("cluster", "{} ({}): {}, ignoring", peer.name, seen.host(), address.error().text());
  }
  if (news.signer) see_signer();
}

bool Cluster::met(const KnownMember& other) {
  if (!ready() || denies(other.id) || other.id == member()->id()) return false;
  const bool news = members_->find(other.id) == nullptr;
  const auto learned = members_->learn(other);
  if (!learned) {
    log_warn("cluster", "{} ({}): {}, ignoring", other.name, other.address, learned.error().text());
    return false;
  }
  if (news) local_.event("joined", other.name, fmt::format("is a member, at {}", other.address));
  if (*learned) local_.members_changed();
  return news;
}

void Cluster::see_signer() {
  const WallTime now = clock_.wall();
  // A clock that was set back is no reason to write all the time.
  if (now - signer_seen_ < kSeenStep && state_ && state_->has(kSeenFile)) return;
  signer_seen_ = now;
  if (!state_) return;
  const auto written = state_->replace(kSeenFile, std::to_string(seconds_of(now)) + "\n", 0644);
  if (!written) log_warn("cluster", "{}, ignoring", written.error().text());
}

bool Cluster::lacks_signer() const {
  return member() && !may_sign() && clock_.wall() - signer_seen_ >= kSignerPatience;
}

Cluster::Answer<std::string> Cluster::renew(const Certificate& peer, std::string_view request) {
  auto signing = signer();
  if (!signing) return signing.error();
  auto renewed = (*signing)->renew(peer, request, *denied_);
  if (!renewed) return renewed.error();
  log_info("cluster", "a new certificate for {}", peer.name);
  return std::move(renewed->certificate);
}

void Cluster::take_denied(const std::vector<std::string>& entries, const std::string& node) {
  if (!ready()) return;
  bool changed = false;
  for (const std::string& bytes : entries) {
    const auto entry = parse_deny(bytes);
    const bool known = entry && denies(entry->node);
    const auto added = denied_->add(bytes, clock_.wall());
    if (!added) log_warn("cluster", "from {}: {}", node, added.error().text());
    if (!entry || known || !denies(entry->node)) continue;
    changed = true;
    // Another signer has removed it; its name is free here as well.
    const auto freed = signer_ ? signer_->numbers().remove(entry->node) : Result<void>();
    if (!freed) log_error("cluster", "{}, ignoring", freed.error().text());
    forget_removed(*entry);
    // Its name may be another node's by now.
    const KnownMember* now = members_->find(entry->name);
    if (now == nullptr && entry->name != local_.name) local_.denied(entry->name);
  }
  if (changed) local_.members_changed();
}

std::vector<const DenyEntry*> Cluster::denied() const {
  return denied_ ? denied_->all() : std::vector<const DenyEntry*>();
}

std::vector<std::string> Cluster::denied_entries() const {
  std::vector<std::string> entries;
  for (const DenyEntry* entry : denied()) entries.push_back(entry->bytes);
  return entries;
}

Result<void> Cluster::take_group_key(const GroupKey& key) {
  if (!ready()) return plain_error("this node is in no cluster");
  const GroupKey& own = member()->group_key();
  if (!own.gives_way_to(key)) {
    if (key.number <= own.number) return {};
    return plain_error(fmt::format("number {} is too far ahead of {}", key.number, own.number));
  }
  OM_TRY(Credentials::save_group_key(*state_, key));
  return local_.reload();
}

Result<void> Cluster::rotate_group_key() {
  if (!ready()) return plain_error("this node is in no cluster");
  const uint32_t number = member()->group_key().number;
  if (number == UINT32_MAX) return plain_error("no number is left for another group key");
  return take_group_key(OM_TRY(GroupKey::make(number + 1)));
}

bool Cluster::keeps_group_key() const {
  if (!member() || !signer_) return false;
  const auto others = signers();
  return std::none_of(others.begin(), others.end(),
                      [&](const KnownMember& other) { return other.number < member()->number(); });
}

std::chrono::seconds Cluster::group_key_age() const {
  struct stat info {};
  if (!state_ ||
      ::fstatat(state_->fd(), Credentials::kGroupKeyFile, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return std::chrono::seconds(0);
  return std::chrono::seconds(
      std::max<int64_t>(0, seconds_of(clock_.wall()) - info.st_mtim.tv_sec));
}

void Cluster::left(const NodeId& node) {
  if (!ready()) return;
  const KnownMember* known = members_->find(node);
  if (known == nullptr) return;
  const std::string name = known->name;
  const auto forgotten = members_->forget(node);
  if (!forgotten) log_error("cluster", "{}, ignoring", forgotten.error().text());
  local_.event("left", name, "left the cluster");
  local_.members_changed();
}

Result<std::string> Cluster::renewal_request() const {
  if (!ready()) return plain_error("this node is in no cluster");
  return OM_TRY(Identity::open(*state_)).request(member()->name());
}

Result<void> Cluster::take_certificate(const std::string& pem) {
  if (!ready()) return plain_error("this node is in no cluster");
  Credentials::Parts parts;
  parts.certificate_pem = pem;
  parts.ca_pem = member()->tls().ca_pem;
  parts.group_key = member()->group_key();
  parts.info = member()->info();
  const Credentials renewed = OM_TRY(Credentials::make(std::move(parts), member()->tls().key_pem));
  if (renewed.name() != member()->name() || renewed.number() != member()->number())
    return plain_error("the new certificate is another node's");
  OM_TRY(Credentials::save_certificate(*state_, pem));
  return local_.reload();
}

Cluster::Answer<Done> Cluster::renew_own() {
  auto signing = signer();
  if (!signing) return signing.error();
  const auto request = renewal_request();
  if (!request) return trouble(request.error());
  auto renewed = (*signing)->renew(member()->certificate(), *request, *denied_);
  if (!renewed) return renewed.error();
  const auto taken = take_certificate(renewed->certificate);
  if (!taken) return trouble(taken.error());
  see_signer();
  return Done();
}

}  // namespace om::migrator
