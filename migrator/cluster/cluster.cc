// SPDX-License-Identifier: Apache-2.0
#include "migrator/cluster/cluster.h"

#include <fmt/core.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "migrator/identity/failures.h"
#include "migrator/identity/left_line.h"

namespace om::migrator {
namespace {

constexpr mode_t kDirectoryMode = 0700;

}  // namespace

Result<OwnDirectory> Cluster::directory() const {
  if (trust_.directory().empty())
    return plain_error("there is no directory for this node's key: om-migrator --identity DIR");
  return OwnDirectory::make(trust_.directory(), kDirectoryMode);
}

Result<void> Cluster::open() {
  signer_.reset();
  denied_.reset();
  members_.reset();
  state_.reset();
  if (!member()) return {};
  state_ = OM_TRY(directory());
  members_ = OM_TRY(MemberBook::open(*state_));
  denied_ = OM_TRY(DenyList::open(*state_, member()->tls().ca_pem));
  signer_ = OM_TRY(Signer::open(*state_, clock_, member()->number()));
  int64_t seconds = 0;
  const auto seen = read_left_line(*state_, kSeenFile, &OwnDirectory::read);
  const bool known = seen.ok() && *seen && parse_number(**seen, seconds) && seconds >= 0;
  signer_seen_ = known ? WallTime(std::chrono::seconds(seconds)) : clock_.wall();
  return {};
}

std::vector<Peer> Cluster::peers() const {
  std::vector<Peer> peers;
  if (!members_ || !member()) return peers;
  for (const KnownMember& other : members_->all()) {
    const auto address = Address::parse(other.address);
    if (address && other.id != member()->id() && other.name != local_.name && !denies(other.id))
      peers.push_back({other.name, *address});
  }
  return peers;
}

std::vector<KnownMember> Cluster::signers() const {
  std::vector<KnownMember> signers;
  if (!members_ || !member()) return signers;
  for (const KnownMember& other : members_->all()) {
    if (other.signer && other.id != member()->id() && !denies(other.id)) signers.push_back(other);
  }
  return signers;
}

KnownMember Cluster::self(bool signer) const {
  return {member()->name(), member()->id(), member()->number(), local_.address.text(), signer};
}

std::optional<Failure> Cluster::may_not_sign() const {
  if (!ready()) return not_a_member();
  if (signer_) return std::nullopt;
  std::string names;
  for (const KnownMember& other : signers()) names += (names.empty() ? "" : ", ") + other.name;
  return refused(
      ReasonCode::kNoSigner,
      fmt::format("{} may not sign for the cluster {}; {}", local_.name, member()->cluster(),
                  names.empty() ? "it knows nobody who may" : "ask " + names));
}

Cluster::Answer<Signer*> Cluster::signer() {
  if (const auto no = may_not_sign()) return *no;
  return &*signer_;
}

Failure Cluster::already_a_member() const {
  return refused(ReasonCode::kAlreadyMember,
                 fmt::format("{} is in the cluster {}", local_.name, member()->cluster()));
}

// Writes everything; the certificate last. What an earlier membership has left is not taken over.
Result<void> Cluster::adopt(const Credentials& credentials,
                            const std::vector<KnownMember>& members) {
  const OwnDirectory state = OM_TRY(directory());
  OM_TRY(DenyList::forget(state));
  OM_TRY(state.remove(kSeenFile));
  MemberBook book = OM_TRY(MemberBook::open(state));
  OM_TRY(book.set(members));
  OM_TRY(credentials.save(state));
  OM_TRY(local_.reload());
  return open();
}

Cluster::Answer<Token> Cluster::init(const std::string& cluster, std::chrono::seconds life,
                                     int uses) {
  if (member()) return already_a_member();
  auto make = [&]() -> Result<Token> {
    const OwnDirectory state = OM_TRY(directory());
    if (state.has(ClusterCa::kFileName)) {
      return plain_error(fmt::format(
          "{}/{} exists although this node is in no cluster: move it away, or, if it is of no use, "
          "remove it",
          state.path(), ClusterCa::kFileName));
    }
    OM_TRY(Signer::forget(state));  // tokens and numbers of an earlier cluster
    const Identity identity = OM_TRY(Identity::open(state));
    const ClusterCa ca = OM_TRY(ClusterCa::make(cluster, clock_.wall()));
    OM_TRY(ca.save(state));
    auto done = [&]() -> Result<Token> {
      TokenStore tokens = OM_TRY(TokenStore::open(state, clock_));
      Token token = OM_TRY(tokens.create(cluster, ca.hash(), life, uses));
      NodeNumbers numbers = OM_TRY(NodeNumbers::open(state, 1));
      const uint32_t number = OM_TRY(numbers.give(identity.id(), local_.name));
      Credentials::Parts parts;
      parts.certificate_pem = OM_TRY(
          ca.sign(OM_TRY(identity.request(local_.name)), local_.name, number, clock_.wall()));
      parts.ca_pem = OM_TRY(ca.certificate_pem());
      parts.group_key = OM_TRY(GroupKey::make(1));
      parts.info = {cluster, clock_.wall(), {}};
      OM_TRY(adopt(OM_TRY(Credentials::make(std::move(parts), OM_TRY(identity.key_pem()))), {}));
      return token;
    }();
    if (!done) forget_files();
    return done;
  };
  auto token = make();
  if (!token) return trouble(token.error());
  local_.event("joined", local_.name, fmt::format("made the cluster {}", cluster));
  return std::move(*token);
}

Cluster::Answer<Cluster::Application> Cluster::apply(std::string_view token_text) {
  if (member()) return already_a_member();
  auto token = Token::parse(token_text);
  if (!token) return refused(ReasonCode::kBadToken, token.error().text());
  auto request = [&]() -> Result<std::string> {
    const OwnDirectory state = OM_TRY(directory());
    if (state.has(ClusterCa::kFileName)) {
      return plain_error(fmt::format("{}/{} is another cluster's: move it away", state.path(),
                                     ClusterCa::kFileName));
    }
    return OM_TRY(Identity::open(state)).request(local_.name);
  }();
  if (!request) return trouble(request.error());
  return Application{std::move(*token), std::move(*request)};
}

Cluster::Answer<Done> Cluster::join(const Application& application, const JoinReply& reply) {
  // Somebody else may have been faster while the signer was asked.
  if (member()) return refused(ReasonCode::kAlreadyMember, member()->cluster());
  auto done = [&]() -> Result<void> {
    const OwnDirectory state = OM_TRY(directory());
    const Identity identity = OM_TRY(Identity::open(state));
    Credentials::Parts parts;
    parts.certificate_pem = reply.answer.certificate;
    parts.ca_pem = reply.ca_pem;
    parts.group_key = reply.answer.group_key;
    parts.info = {application.token.cluster, clock_.wall(), {}};
    for (const KnownMember& other : reply.answer.members) {
      if (parts.info.contacts.size() < kMaxContacts)
        parts.info.contacts.push_back({other.name, other.address});
    }
    const Credentials credentials =
        OM_TRY(Credentials::make(std::move(parts), OM_TRY(identity.key_pem())));
    if (credentials.name() != local_.name)
      return plain_error("the signer has given this node another name: " + credentials.name());
    OM_TRY(adopt(credentials, reply.answer.members));
    return {};
  }();
  if (!done) {
    forget_files();
    return trouble(done.error());
  }
  see_signer();
  local_.event("joined", local_.name,
               fmt::format("joined the cluster {}", application.token.cluster));
  local_.members_changed();
  return Done();
}

std::optional<Failure> Cluster::may_leave(bool force) const {
  if (!ready()) return not_a_member();
  if (!signer_ || force || !signers().empty() || peers().empty()) return std::nullopt;
  return refused(ReasonCode::kNoSigner,
                 fmt::format("{} is the only machine that may sign for the cluster {}, and its CA "
                             "would be lost: make another one by om cluster ca export and import, "
                             "or use --force",
                             local_.name, member()->cluster()));
}

Cluster::Answer<Done> Cluster::leave(bool force) {
  if (const auto no = may_leave(force)) return *no;
  leaving_ = false;
  const std::string cluster = member()->cluster();
  const bool removed = denies(member()->id());
  auto done = [&]() -> Result<void> {
    const OwnDirectory state = OM_TRY(directory());
    OM_TRY(Credentials::forget(state));
    // From here on it is no member, whatever else fails.
    auto rest = [&]() -> Result<void> {
      OM_TRY(Signer::forget(state));
      OM_TRY(MemberBook::remove(state));
      OM_TRY(DenyList::forget(state));
      OM_TRY(state.remove(kSeenFile));
      // A node that was removed can only come back as another one.
      if (removed) OM_TRY(state.remove(Identity::kFileName));
      return {};
    }();
    if (!rest) log_error("cluster", "{}, ignoring", rest.error().text());
    OM_TRY(local_.reload());
    return open();
  }();
  if (!done) {
    local_.members_changed();  // it has said goodbye, and is still there
    return trouble(done.error());
  }
  local_.event("left", local_.name, fmt::format("left the cluster {}", cluster));
  local_.members_changed();
  return Done();
}

// After an attempt to become a member that failed.
void Cluster::forget_files() {
  const auto state = directory();
  if (!state) return;
  for (const auto& step : {Credentials::forget(*state), Signer::forget(*state),
                           MemberBook::remove(*state), local_.reload(), open()}) {
    if (!step) log_error("cluster", "{}, ignoring", step.error().text());
  }
}

Cluster::Answer<std::string> Cluster::export_ca(const std::string& passphrase) const {
  if (const auto no = may_not_sign()) return *no;
  auto text = signer_->ca().export_text(passphrase);
  if (!text) return trouble(text.error());
  return std::move(*text);
}

Cluster::Answer<Done> Cluster::import_ca(const std::string& text, const std::string& passphrase) {
  if (!ready()) return not_a_member();
  if (signer_) {
    return Failure{ExitCode::kFailure,
                   fmt::format("{} may sign for the cluster already", local_.name)};
  }
  auto done = [&]() -> Result<void> {
    const ClusterCa ca = OM_TRY(ClusterCa::import_text(text, passphrase));
    if (ca.hash() != member()->cluster_id()) {
      return plain_error(fmt::format("it is the CA of another cluster than {} ({})",
                                     member()->cluster(), ca.cluster()));
    }
    OM_TRY(NodeNumbers::open(*state_, member()->number()));  // whether it can be a signer at all
    OM_TRY(ca.save(*state_));
    return open();
  }();
  if (!done) return trouble(done.error());
  see_signer();
  local_.members_changed();  // they are told
  return Done();
}

}  // namespace om::migrator
