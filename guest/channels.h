// SPDX-License-Identifier: Apache-2.0
//
// Channels that a running body asks for: threads that have lost theirs, and new ones. One connection a slot at a time,
// and no more of them in a row than threads can need: a body that asks for ever must not use up this node's ports.
//
// KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <chrono>
#include <set>

#include "common/net/channel_end.h"
#include "guest/body.h"
#include "guest/home_link.h"
#include "guest/home_watch.h"

namespace om::guest {

class Channels {
 public:
  Channels(kj::Timer& timer, HomeLink& link, HomeWatch& home, Body& body)
      : timer_(timer), link_(link), home_(home), body_(body), tasks_(errors_) {}

  // The body needs one for `slot`: it is made as soon as home can be reached.
  void ask(uint32_t slot);

 private:
  void connect(uint32_t slot);
  void connect_later(uint32_t slot);
  bool may_connect();
  void hand_over(uint32_t slot, const ChannelEnd& end);

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    void taskFailed(kj::Exception&& exception) override;
  };

  kj::Timer& timer_;
  HomeLink& link_;
  HomeWatch& home_;
  Body& body_;
  std::set<uint32_t> asked_;  // slots that one is being made for
  uint32_t credit_ = 0;       // how many more may be made
  std::chrono::steady_clock::time_point credit_since_{};
  Errors errors_;
  kj::TaskSet tasks_;
};

}  // namespace om::guest
