// SPDX-License-Identifier: Apache-2.0
//
// Whether home is there, as far as the keeper can tell. The time counts from the last session that home has served,
// whatever takes our connections since.
#pragma once

#include <kj/exception.h>
#include <stdint.h>

#include <chrono>
#include <string>

namespace om::guest {

class HomeWatch {
 public:
  // A call of home's has come: the session is one that is served.
  void served() { served_ = true; }
  bool is_served() const { return served_; }
  // The session is there, or connections to home are made again.
  void connected() { cannot_connect_.clear(); }
  // The session is over; whether it was of use shows in how long to wait for the next: multiples of a pause.
  void session_over();
  unsigned pauses() const;
  // Logged once for each cause, although it is tried again and again.
  void cannot_connect(const kj::Exception& exception);

  // Out of reach for longer than a guest waits: OM_SESSION_TIMEOUT_S twice, 60 s without it.
  bool is_too_long() const;

 private:
  bool served_ = false;  // the session that there is
  std::chrono::steady_clock::time_point seen_ = std::chrono::steady_clock::now();
  uint32_t in_vain_ = 0;        // sessions since, which nobody has served
  std::string cannot_connect_;  // why, as long as it lasts
};

}  // namespace om::guest
