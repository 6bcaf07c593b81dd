// SPDX-License-Identifier: Apache-2.0
#include "guest/home_watch.h"

#include <stdlib.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"

namespace om::guest {
namespace {

constexpr uint32_t kMaxDoublings = 4;  // of the pause between sessions that nobody serves
constexpr int kPatienceSeconds = 60;

// Longer than the deputy's own patience, so that home decides.
std::chrono::seconds patience() {
  const char* text = ::getenv("OM_SESSION_TIMEOUT_S");
  const long seconds = text != nullptr ? ::strtol(text, nullptr, 10) : 0;
  return std::chrono::seconds(seconds > 0 && seconds < 86400 ? seconds * 2 : kPatienceSeconds);
}

}  // namespace

void HomeWatch::session_over() {
  if (std::exchange(served_, false)) {
    log_info("keeper", "home is out of reach");
    seen_ = std::chrono::steady_clock::now();
    in_vain_ = 0;
  } else {
    in_vain_++;
  }
}

unsigned HomeWatch::pauses() const { return 1u << std::min(in_vain_, kMaxDoublings); }

void HomeWatch::cannot_connect(const kj::Exception& exception) {
  const std::string why = exception.getDescription().cStr();
  if (std::exchange(cannot_connect_, why) != why)
    log_warn("keeper", "cannot connect to home: {}", why);
}

bool HomeWatch::is_too_long() const {
  return std::chrono::steady_clock::now() - seen_ > patience();
}

}  // namespace om::guest
