// SPDX-License-Identifier: Apache-2.0
//
// The daemon's end of the connection to one om-deputy: serves wire::Daemon and calls the deputy's wire::Deputy
// (common/schema/deputy.capnp) on a socket, which is the deputy's descriptor 3 or a connection that it made to the
// control socket after the daemon was restarted. One move at a time; MoveQueue sees to that. What the deputy says is
// checked (deputy_wire.h): it runs as the owner of the process, not as us.
//
// The cost of a connection is bounded: reading stops while the deputy does not accept answers, it may ask for one guest
// at a time, messages have at most wire::MAX_MESSAGE_WORDS, and at most kMaxOpenCalls of its calls and kMaxUnanswered
// commands to it may be unfinished.
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
  static constexpr size_t kMaxOpenCalls = 4096;
  static constexpr size_t kMaxUnanswered = 64;

  // nullopt: admitted. Called at most once; the link may be gone by then.
  using GuestAnswer = std::function<void(const std::optional<Reason>& refused)>;
  // Only on_closed may destroy the link.
  struct Handlers {
    // The deputy wants a keeper on node `to`.
    std::function<void(const std::string& to, Offer offer, GuestAnswer answer)> on_need_guest;
    // at() or state() changed.
    std::function<void()> on_state;
    std::function<void(ReasonCode code, const std::string& message)> on_note;
    // What another deputy needs to take the process over if this one dies.
    std::function<void(DeputySession session)> on_session;
    // The connection has ended: the deputy is gone, or broke the protocol (Error). Pending commands get no answer.
    std::function<void(std::optional<Error>)> on_closed;
  };

  DeputyLink(UvKj& kj, UniqueFd socket, std::string home, Handlers handlers);
  ~DeputyLink();

  // Commands. Each is answered at most once; if never, either on_closed is called or the deputy lives but says nothing.
  // Not to be called after hang_up(). MoveQueue issues one at a time.
  using MoveDone = std::function<void(const MoveReport&)>;
  using LookDone = std::function<void(const Verdict<Json>&)>;
  void depart(const std::string& to, MoveDone done);
  void come_home(MoveDone done);
  void stack(LookDone done);
  void trace(uint64_t cursor, LookDone done);
  // A command for any time. False: not sent, because kMaxUnanswered commands wait for an answer.
  bool cut(const std::string& what, std::function<void()> done);
  // Tells the deputy to take over a process: what is known of it, and what the deputy needs.
  void take_over(const DeputySession& session, bool moving);

  // Closes the connection; nothing more that the deputy has sent is processed. Among handlers, only on_closed may call
  // it.
  void hang_up();

  const std::string& at() const { return at_; }  // a node name; home's own name at home
  State state() const { return state_; }
  void set_lost() { state_ = State::kLost; }
  // Sets what is known of the process before the deputy reports it.
  void set_place(const std::string& at, State state);
  const std::optional<DeputyStats>& stats() const { return stats_; }
  // How long the node that the process is at has been silent; zero if the process is not away.
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
  MonotonicTime heard_{};  // time of the last stats, or of arrival there
  bool asks_ = false;      // for a guest
  size_t unanswered_ = 0;  // commands
  int complaints_ = 0;
  Handlers handlers_;
  Timer closing_;
  std::shared_ptr<DeputyLink*> self_;  // for calls that outlive the link; null: hung up
  kj::Own<Connection> connection_;
};

const char* state_name(DeputyLink::State state);  // "home", "moving", "away", "lost"

}  // namespace om::migrator
