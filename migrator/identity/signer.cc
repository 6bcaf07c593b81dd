// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/signer.h"

#include <errno.h>
#include <fmt/core.h>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/version.h"
#include "migrator/identity/failures.h"

namespace om::migrator {
namespace {

// Nothing that the joiner could mend.
Failure cannot(const Error& error) {
  return {ExitCode::kFailure, "the signer cannot let it in: " + error.text()};
}

Failure removed(const DenyEntry& entry) {
  return refused(ReasonCode::kDenied,
                 fmt::format("the node {} ({}) was removed from the cluster{}{}", entry.name,
                             entry.node.text(), entry.reason.empty() ? "" : ": ", entry.reason));
}

}  // namespace

Result<std::optional<Signer>> Signer::open(const OwnDirectory& state, const Clock& clock,
                                           uint32_t number) {
  if (!state.has(ClusterCa::kFileName)) return std::optional<Signer>();
  ClusterCa ca = OM_TRY(ClusterCa::open(state));
  TokenStore tokens = OM_TRY(TokenStore::open(state, clock));
  NodeNumbers numbers = OM_TRY(NodeNumbers::open(state, number));
  return std::optional<Signer>(Signer(std::move(ca), std::move(tokens), std::move(numbers), clock));
}

Signer::Answer<Signer::Applicant> Signer::judge(const JoinRequest& request,
                                                std::string_view exporter, const Cluster& cluster) {
  if (protocol_major(request.protocol) != kProtocolMajor) {
    return refused(ReasonCode::kVersion,
                   fmt::format("the joining machine speaks version {}, the signer {}",
                               protocol_major(request.protocol), kProtocolMajor));
  }
  const auto subject = read_request(request.certificate_request);
  if (!subject) return refused(ReasonCode::kBadRequest, subject.error().text());
  if (!valid_node_name(subject->name))
    return refused(ReasonCode::kBadRequest, escaped(subject->name, 80) + " is no node name");

  // Only who has proved the token learns anything about names and nodes.
  const auto proved = tokens_.check(request.token, request.proof, exporter, subject->id);
  if (proved != TokenStore::Answer::kRight)
    return refused(ReasonCode::kBadToken, fmt::format("the token is {}", answer_text(proved)));
  if (const DenyEntry* entry = cluster.denied.find(subject->id)) return removed(*entry);
  const KnownMember* holder = cluster.members.find(subject->name);
  if (holder != nullptr && holder->id != subject->id && !cluster.denied.denies(holder->id)) {
    return refused(ReasonCode::kNameTaken,
                   fmt::format("the node {} ({}) has the name", holder->name, holder->id.text()));
  }
  const KnownMember* member = cluster.members.find(subject->id);
  const bool foreign = member != nullptr && numbers_.find(subject->id) == nullptr;
  auto number =
      foreign ? Result<uint32_t>(member->number) : numbers_.number_for(subject->id, subject->name);
  if (!number) return refused(ReasonCode::kNameTaken, number.error().text());
  auto certificate = ca_.sign(request.certificate_request, subject->name, *number, clock_->wall());
  if (!certificate) return cannot(certificate.error());
  return Applicant{{subject->name, subject->id, *number, std::move(*certificate)}, foreign};
}

Signer::Answer<NodeId> Signer::examine(const JoinRequest& request, std::string_view exporter,
                                       const Cluster& cluster) {
  const auto applicant = judge(request, exporter, cluster);
  if (!applicant) return applicant.error();
  return applicant->granted.id;
}

Signer::Answer<Signed> Signer::admit(const JoinRequest& request, std::string_view exporter,
                                     const Cluster& cluster) {
  auto applicant = judge(request, exporter, cluster);
  if (!applicant) return applicant.error();
  Signed& granted = applicant->granted;
  const auto used = tokens_.redeem(request.token, request.proof, exporter, granted.id);
  if (!used) return cannot(used.error());
  if (*used != TokenStore::Answer::kRight)
    return refused(ReasonCode::kBadToken, fmt::format("the token is {}", answer_text(*used)));
  if (!applicant->foreign) {
    const auto given = numbers_.give(granted.id, granted.name);
    if (!given) return cannot(given.error());
  }
  return std::move(granted);
}

Signer::Answer<Signed> Signer::renew(const Certificate& present, std::string_view request,
                                     const DenyList& denied) const {
  if (const DenyEntry* entry = denied.find(present.id)) return removed(*entry);
  const auto subject = read_request(request);
  if (!subject) return refused(ReasonCode::kBadRequest, subject.error().text());
  if (subject->id != present.id)
    return refused(ReasonCode::kBadRequest, "the request is for another key");
  auto certificate = ca_.sign(request, present.name, present.number, clock_->wall());
  if (!certificate) return refused(ReasonCode::kBadRequest, certificate.error().text());
  return Signed{present.name, present.id, present.number, std::move(*certificate)};
}

Signer::Answer<DenyEntry> Signer::remove(const NodeId& id, const std::string& name,
                                         const std::string& reason) {
  auto entry = make_deny(ca_, id, name, clock_->wall(), reason);
  if (!entry) return Failure{ExitCode::kFailure, entry.error().text()};
  const auto freed = numbers_.remove(id);
  if (!freed) return Failure{ExitCode::kFailure, freed.error().text()};
  return std::move(*entry);
}

Result<void> Signer::forget(const OwnDirectory& state) {
  // The key first: without it the rest is of no use.
  for (const char* name : {ClusterCa::kFileName, TokenStore::kFileName, NodeNumbers::kFileName})
    OM_TRY(state.remove(name));
  return {};
}

}  // namespace om::migrator
