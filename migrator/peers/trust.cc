// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/trust.h"

#include <errno.h>

#include "common/base/own_directory.h"

namespace om::migrator {
namespace {

Result<std::optional<Credentials>> read_member(const std::string& directory) {
  if (directory.empty()) return std::optional<Credentials>();
  const auto state = OwnDirectory::open(directory);
  if (!state && state.error().err == ENOENT) return std::optional<Credentials>();
  if (!state) return state.error();
  return Credentials::open(*state);
}

}  // namespace

Result<Trust> Trust::read(const std::string& directory, bool plain) {
  auto member = OM_TRY(read_member(directory));
  std::optional<TlsContext> tls;
  if (member && !plain) tls = OM_TRY(TlsContext::member(member->tls()));
  return Trust(directory, std::move(member), std::move(tls));
}

Trust::Change Trust::replace_by(Trust next) {
  const auto& then = member_;
  const auto& now = next.member_;
  Change change = then || now ? Change::kOther : Change::kNone;
  if (then && now && then->cluster_id() == now->cluster_id() && then->id() == now->id() &&
      then->name() == now->name()) {
    change = then->certificate().der == now->certificate().der ? Change::kNone : Change::kRenewed;
  }
  *this = std::move(next);
  return change;
}

}  // namespace om::migrator
