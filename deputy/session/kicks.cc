// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/kicks.h"

namespace om::deputy {
namespace {

constexpr uint32_t kMaxKicks = 16;  // under way at the same time

}  // namespace

void Kicks::kick(const std::vector<uint32_t>& slots) {
  slots_.insert(slots.begin(), slots.end());
  send();
}

void Kicks::start_over() {
  under_way_ = 0;
  slots_.clear();
}

void Kicks::send() {
  if (slots_.empty() || under_way_ >= kMaxKicks) return;
  KJ_IF_MAYBE (body, session_.body()) {
    auto request = body->kickRequest();
    auto list = request.initSlots(static_cast<unsigned>(slots_.size()));
    unsigned i = 0;
    for (uint32_t slot : slots_) list.set(i++, slot);
    slots_.clear();
    under_way_++;
    const uint32_t session = session_.count();
    tasks_.add(request.send().ignoreResult().then([this, session] {
      if (session != session_.count()) return;
      under_way_--;
      send();
    }));
  }
}

}  // namespace om::deputy
