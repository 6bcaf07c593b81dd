// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/guest_users.h"

#include <errno.h>
#include <fmt/core.h>

namespace om::migrator {

std::optional<uid_t> GuestUsers::next_free() const {
  const proc::UserRange& range = *settings_.own;
  for (uint32_t i = 0; i < range.size(); ++i) {
    const uid_t uid = range.first + (next_ % range.size() + i) % range.size();
    if (taken_.count(uid) == 0 && !has_processes_(uid)) return uid;
  }
  return std::nullopt;
}

Result<std::optional<GuestUsers::Owner>> GuestUsers::take() {
  if (!settings_.own) return settings_.one;
  const auto uid = next_free();
  if (!uid)
    return Error{EUSERS,
                 fmt::format("all user ids of guest_uids ({}) are used", settings_.own->text())};
  taken_.insert(*uid);
  next_ = *uid - settings_.own->first + 1;
  return std::optional<Owner>(Owner{*uid, *uid});
}

void GuestUsers::give_back(const std::optional<Owner>& owner) {
  if (settings_.own && owner) taken_.erase(owner->first);
}

bool GuestUsers::used_up() const { return settings_.own && !next_free(); }

std::string GuestUsers::text() const {
  if (settings_.own) return "each its own of " + settings_.own->text();
  return settings_.one ? fmt::format("all {}", settings_.one->first) : "the daemon's";
}

}  // namespace om::migrator
