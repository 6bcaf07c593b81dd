// SPDX-License-Identifier: Apache-2.0
//
// Our end of the deputy socket, by which libom in the home process talks to us: kicks, requests, and executors that
// need a new channel. It has no name (connect_socket.cc makes it), so nobody else can reach it; what comes are a
// program's bytes all the same. pump() does what can be done now, so it serves the event loop and the moments in which
// everything else waits for ptrace.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/net/channel_end.h"
#include "libom/abi/sockets.h"

namespace om::deputy {

class HomeSocket {
 public:
  // Hands out our end of the channel of a slot, with a descriptor that is invalid if there is none yet.
  using Channels = std::function<ChannelEnd(uint32_t slot)>;

  // What another member says is dropped.
  HomeSocket(const uint8_t (&session)[16], uint32_t member, Channels channels);

  // The deputy socket has been made, or made again.
  void connect(UniqueFd fd);
  // -1 until it has been made.
  int fd() const { return fd_.get(); }
  bool has_ended() const { return ended_; }

  // Reads and answers.
  void pump();
  // The oldest message that has arrived.
  std::optional<HomeMessage> next();
  // Sends channels with their slots over the deputy socket (libom's setup takes them).
  Result<void> send_channels(const std::vector<std::pair<uint32_t, ChannelEnd>>& channels);

 private:
  void serve(const FetchRequest& request, int answer_to);

  Channels channels_;
  uint8_t session_id_[16];
  const uint32_t member_;
  UniqueFd fd_;
  bool ended_ = false;
  std::deque<HomeMessage> messages_;
};

}  // namespace om::deputy
