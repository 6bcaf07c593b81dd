// SPDX-License-Identifier: Apache-2.0
#include "guest/channels.h"

#include "common/base/log.h"

namespace om::guest {
namespace {

constexpr auto kRetry = 100 * kj::MILLISECONDS;
constexpr auto kCreditTime = std::chrono::seconds(10);

}  // namespace

void Channels::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("keeper", "{}", exception.getDescription().cStr());
}

void Channels::ask(uint32_t slot) {
  if (slot >= body_.bounds().slots || !asked_.insert(slot).second) return;
  connect(slot);
}

// Not while there is nobody at home who could hand them on.
bool Channels::may_connect() {
  const auto now = std::chrono::steady_clock::now();
  if (home_.is_served() && now - credit_since_ > kCreditTime) {
    credit_since_ = now;
    credit_ = 2 * body_.bounds().slots;
  }
  if (!home_.is_served() || credit_ == 0) return false;
  credit_--;
  return true;
}

void Channels::connect(uint32_t slot) {
  if (!may_connect()) return connect_later(slot);
  tasks_.add(link_.channel(slot, body_.layout().epoch, 1)
                 .then([this, slot](ChannelEnd&& end) { hand_over(slot, end); },
                       // Home is out of reach at the moment: the body waits, so do we.
                       [this, slot](kj::Exception&& e) {
                         home_.cannot_connect(e);
                         connect_later(slot);
                       }));
}

void Channels::connect_later(uint32_t slot) {
  tasks_.add(timer_.afterDelay(kRetry).then([this, slot] {
    if (body_.process().running()) connect(slot);
  }));
}

void Channels::hand_over(uint32_t slot, const ChannelEnd& end) {
  BodyMessage m{};
  m.type = kBodyChannel;
  m.slot = slot;
  asked_.erase(slot);
  if (auto r = body_.process().send(m, &end.keys, sizeof end.keys, end.fd.get()); !r)
    log_warn("keeper", "{}", r.error().text());
}

}  // namespace om::guest
