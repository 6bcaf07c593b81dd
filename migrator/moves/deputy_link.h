// SPDX-License-Identifier: Apache-2.0
//
// The daemon's end of one om-deputy: wire::Daemon for the deputy, calls to its wire::Deputy
// (common/schema/deputy.capnp) on a socket, its descriptor 3 or a connection that it made to the control socket after
// the daemon was restarted. One move at a time; MoveQueue sees to that. What the deputy says is checked
// (deputy_wire.h): it runs as the owner of the process, not as us.
//
// What a connection can cost is bounded: nothing is read from a deputy that does not take its answers, it asks for one
// guest at a time, messages have kMaxMessageWords, kMaxOpenCalls of its calls are not finished, and it has
// kMaxUnanswered commands at most.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/uv/uvkj.h"
#include "migrator/moves/deputy_wire.h"
#include "migrator/peers/offer.h"

namespace om::migrator {

class DeputyLink {
 public:
  enum class State { kHome, kMoving, kAway, kLost };
  static constexpr uint64_t kMaxMessageWords = 1 << 18;  // 2 MiB: a report, and what is around it
  static constexpr size_t kMaxOpenCalls = 4096;
  static constexpr size_t kMaxUnanswered = 64;

  // nullopt: admitted. Called once or not at all; the link may be gone by then.
  using GuestAnswer = std::function<void(const std::optional<Reason>& refused)>;
  // Only on_closed may destroy the link.
  struct Handlers {
    // The deputy wants a keeper on node `to`.
    std::function<void(const std::string& to, Offer offer, GuestAnswer answer)> on_need_guest;
    // at() or state() changed.
    std::function<void()> on_state;
    std::function<void(ReasonCode code, const std::string& message)> on_note;
    // What another deputy would need to take the process over, should this one die.
    std::function<void(DeputySession session)> on_session;
    // The socket has ended: the deputy is gone or talks nonsense (Error). Commands get no answer any more.
    std::function<void(std::optional<Error>)> on_closed;
  };

  DeputyLink(UvKj& kj, UniqueFd socket, std::string home, Handlers handlers);
  ~DeputyLink();

  // Commands. Each is answered once, or never: then on_closed is called, or the deputy lives and says nothing. Not
  // after hang_up(). MoveQueue gives one at a time.
  using MoveDone = std::function<void(const MoveReport&)>;
  using LookDone = std::function<void(const Verdict<Json>&)>;
  void depart(const std::string& to, MoveDone done);
  void come_home(MoveDone done);
  void stack(LookDone done);
  void trace(uint64_t cursor, LookDone done);
  // A command at any time. False: kMaxUnanswered commands wait for an answer, so this one was not sent.
  bool cut(const std::string& what, std::function<void()> done);
  // What is known of a process that the deputy is to take over, and what it needs for that.
  void take_over(const DeputySession& session, bool moving);

  // The deputy finds the end of the connection, and nothing it has said is heard any more. Not from a handler but
  // on_closed.
  void hang_up();

  const std::string& at() const { return at_; }  // a node name; home's own name at home
  State state() const { return state_; }
  void set_lost() { state_ = State::kLost; }
  // What is known of the process before the deputy has said it.
  void set_place(const std::string& at, State state);
  const std::optional<DeputyStats>& stats() const { return stats_; }
  // How long nothing has been heard of the node that the process is at; zero if it is not away.
  std::chrono::steady_clock::duration silence() const;

 private:
  struct Connection;
  class Server;
  void ended();
  template <class Params, class Results, class T>
  void command(capnp::Request<Params, Results>&& request, T (*read)(typename Results::Reader),
               T otherwise, std::function<void(const T&)> done);
  void take_state(const DeputyPlace& place);
  void take_stats(DeputyStats stats);
  void complain(const Error& error, const char* about);

  std::string home_;
  std::string at_;
  State state_ = State::kHome;
  std::optional<DeputyStats> stats_;
  MonotonicTime heard_{};  // its last stats, or its arrival there
  bool asks_ = false;      // for a guest
  size_t unanswered_ = 0;  // commands
  int complaints_ = 0;
  Handlers handlers_;
  Timer closing_;
  std::shared_ptr<DeputyLink*> self_;  // for calls, which may outlive the link; null: hung up
  kj::Own<Connection> connection_;
};

const char* state_name(DeputyLink::State state);  // "home", "moving", "away", "lost"

}  // namespace om::migrator
