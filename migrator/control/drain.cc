// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/drain.h"

#include <nlohmann/json.hpp>

#include <utility>

#include "common/base/log.h"
#include "migrator/control/recall.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kLook{100};
constexpr Milliseconds kAskAgain{1000};  // keepers that were just being started

}  // namespace

void Drain::begin(Milliseconds limit, std::function<void(Json)> done, const std::string& asked_by) {
  services_.admission.set_draining(true);
  done_ = std::move(done);
  own_ = nullptr;
  asked_ = {};
  deadline_ = services_.clock.now() + limit;
  services_.events.add({"drain", 0, services_.name, std::nullopt,
                        "is being emptied: guests and own processes go home" +
                            (asked_by.empty() ? "" : ", as " + asked_by + " has asked"),
                        "node " + services_.name});
  recall_all(services_, limit, [this, number = ++number_](Json own) {
    if (number == number_) own_ = std::move(own);
  });
  timer_.start_repeating(kLook, [this] { look(); });
}

void Drain::look() {
  const MonotonicTime now = services_.clock.now();
  if (now - asked_ >= kAskAgain) {
    services_.keepers.send_home();
    asked_ = now;
  }
  const bool over = now >= deadline_;
  // A recall answers soon after the limit.
  if (own_.is_null() || (services_.keepers.count() != 0 && !over)) return;
  conclude();
}

void Drain::conclude() {
  timer_.stop();
  ++number_;
  Json result = std::exchange(own_, nullptr);
  if (result.is_null()) result = {{"home", 0}, {"failed", Json::array()}};
  result["guests"] = services_.keepers.count();
  log_info("drain", "{} of its own processes came home, {} failed to, {} guests are left",
           result["home"].get<size_t>(), result["failed"].size(), result["guests"].get<size_t>());
  // It may begin the next one.
  std::exchange(done_, nullptr)(std::move(result));
}

void Drain::reopen() {
  services_.admission.set_draining(false);
  if (under_way()) conclude();
}

}  // namespace om::migrator
