// SPDX-License-Identifier: Apache-2.0
//
// The unix socket by which libom in the home process talks to us: one session connection per process (kicks,
// requests), and short connections of executors that need a new channel. Non-blocking; pump() does what can
// be done now, so it serves the event loop and the moments in which everything else waits for ptrace.
//
// Peers are checked: only the process we are the deputy of is listened to (SO_PEERCRED), and its messages
// are a program's bytes.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"
#include "libom/abi/session.h"

namespace om::deputy {

class HomeSocket {
 public:
  // Hands out the channel of a slot; invalid: none yet.
  using Channels = std::function<UniqueFd(uint32_t slot)>;

  static Result<HomeSocket> open(pid_t pid, const uint8_t (&session)[16], Channels channels);
  // Listens at `path` in place of a deputy that has died.
  static Result<HomeSocket> take_over(pid_t pid, const uint8_t (&session)[16],
                                      const std::string& path, Channels channels);
  HomeSocket(HomeSocket&&) = default;
  HomeSocket& operator=(HomeSocket&&) = default;
  ~HomeSocket();

  const std::string& path() const { return path_; }
  int listener() const { return listener_.get(); }
  // The session connection, -1 until libom has made it.
  int session() const { return session_.get(); }
  bool session_ended() const { return ended_; }

  // Accepts, answers, reads.
  void pump();
  // An executor has connected and not said yet what it wants, or could not be accepted for want of a
  // descriptor: pump() has to be called again soon.
  bool greeting() const { return !greeting_.empty() || not_accepted_; }
  // The oldest message that has arrived.
  std::optional<HomeMessage> next();
  // Sends channels with their slots over the session connection (libom's setup takes them).
  Result<void> send_channels(const std::vector<std::pair<uint32_t, UniqueFd>>& channels);
  // Forgets the session connection; a new capture makes another.
  void reset_session();

 private:
  HomeSocket(pid_t pid, Channels channels) : pid_(pid), channels_(std::move(channels)) {}
  Result<void> listen_at(const std::string& path);
  void accept_all();
  void serve(UniqueFd connection);
  void read_session();

  pid_t pid_;
  Channels channels_;
  uint8_t session_id_[16]{};
  std::string path_;
  UniqueFd listener_, session_;
  bool ended_ = false;
  bool not_accepted_ = false;
  std::vector<UniqueFd> greeting_;  // accepted, nothing said yet
  std::deque<HomeMessage> messages_;
};

}  // namespace om::deputy
