// SPDX-License-Identifier: Apache-2.0
//
// The daemon's end of one om-deputy: JSON lines on a socket (its descriptor 3, or a connection that a
// deputy made to the control socket after the daemon was restarted). One command at a time; MoveQueue sees
// to that. What the deputy says is checked: it runs as the owner of the process, not as us.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/unique_fd.h"
#include "common/movable/reasons.h"
#include "common/uv/json_stream.h"
#include "common/uv/loop.h"
#include "migrator/peers/offer.h"

namespace om::migrator {

// What the deputy last said of the process ("stats").
struct DeputyStats {
  uint64_t cpu_ms = 0;
  uint64_t rss_bytes = 0;
  uint32_t threads = 0;
  uint64_t calls = 0;
  double cpu_percent = 0;  // between the last two of these
  MonotonicTime received;
};

// Where a process is and by what its keeper proves itself: lets another deputy adopt it.
struct DeputySession {
  std::string at;       // node
  std::string session;  // kSecretBytes each
  std::string token;
  uint16_t port = 0;  // on which the keeper finds the deputy

  bool operator==(const DeputySession&) const = default;
};
// {"at":..,"session":hex,"token":hex,"port":..}
Json session_to_json(const DeputySession& session);
Result<DeputySession> session_from_json(const Json& value);

class DeputyLink {
 public:
  enum class State { kHome, kMoving, kAway, kLost };

  // Only on_closed may destroy the link.
  struct Handlers {
    // The deputy wants a keeper on node `to`; answer with answer_guest(id, ...).
    std::function<void(int64_t id, const std::string& to, Offer offer)> on_need_guest;
    // at() or state() changed.
    std::function<void()> on_state;
    std::function<void(ReasonCode code, const std::string& message)> on_note;
    // What another deputy would need to take the process over, should this one die.
    std::function<void(DeputySession session)> on_session;
    // The socket has ended: the deputy is gone or talks nonsense (Error). Commands get no answer any more.
    std::function<void(std::optional<Error>)> on_closed;
  };

  DeputyLink(Loop& loop, UniqueFd socket, std::string home, Handlers handlers);
  // Takes over a connection of the control socket.
  DeputyLink(std::unique_ptr<JsonStream> stream, std::string home, Handlers handlers);

  // depart, home, debug. on_result gets the "data" of the answer with this id, an object; it is dropped with
  // the link.
  using ResultCallback = std::function<void(const Json& data)>;
  void command(Json line, int64_t id, ResultCallback on_result);
  void forget(int64_t id) { results_.erase(id); }
  void send(const Json& line);
  void hang_up() { stream_->hang_up(); }
  // nullopt: admitted.
  void answer_guest(int64_t id, const std::optional<Reason>& refused);

  const std::string& at() const { return at_; }  // a node name; home's own name at home
  State state() const { return state_; }
  void set_lost() { state_ = State::kLost; }
  // What is known of a process that the deputy is to take over.
  void set_place(const std::string& at, State state) {
    at_ = at;
    state_ = state;
    heard_ = std::chrono::steady_clock::now();
  }
  const std::optional<DeputyStats>& stats() const { return stats_; }
  // How long nothing has been heard of the node that the process is at; zero if it is not away.
  std::chrono::steady_clock::duration silence() const;

 private:
  JsonStream::Handlers stream_handlers();
  void on_line(const Json& line);
  Result<void> handle(const Json& line);

  std::string home_;
  std::string at_;
  State state_ = State::kHome;
  std::optional<DeputyStats> stats_;
  std::chrono::steady_clock::time_point heard_{};  // its last stats, or its arrival there
  std::map<int64_t, ResultCallback> results_;
  int bad_lines_ = 0;
  Handlers handlers_;
  std::unique_ptr<JsonStream> stream_;
};

const char* state_name(DeputyLink::State state);  // "home", "moving", "away", "lost"

}  // namespace om::migrator
