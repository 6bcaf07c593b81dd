// SPDX-License-Identifier: Apache-2.0
//
// Whether home is there, as far as the keeper can tell. Time counts from the last session that home served, whoever has
// accepted our connections since.
#pragma once

#include <kj/exception.h>
#include <stdint.h>

#include <chrono>
#include <string>

namespace om::guest {

class HomeWatch {
 public:
  // A call from home has come: home serves this session.
  void served() { served_ = true; }
  bool is_served() const { return served_; }
  // The session is up, or connections to home succeed again.
  void connected() { cannot_connect_.clear(); }
  // The session is over. pauses(): how many pauses to wait before the next one, more if nobody serves them.
  void session_over();
  unsigned pauses() const;
  // Logs each cause once, however often the keeper tries.
  void cannot_connect(const kj::Exception& exception);

  // Whether home has been out of reach for longer than a guest waits: twice OM_SESSION_TIMEOUT_S, or 60 s if it is not
  // set.
  bool is_too_long() const;

 private:
  bool served_ = false;  // the current session
  std::chrono::steady_clock::time_point seen_ = std::chrono::steady_clock::now();
  uint32_t in_vain_ = 0;        // sessions since then that nobody served
  std::string cannot_connect_;  // why, as long as it lasts
};

}  // namespace om::guest
