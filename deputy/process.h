// SPDX-License-Identifier: Apache-2.0
//
// The process that a deputy looks after: where it is, and the parts that its moves work on. A move (moves/) is an
// object of its own that ends with the move; what lasts from one move to the next is here.
//
// Runs on the KJ loop's top level: moves wait for the keeper with promise.wait(), while tasks (kicks from home,
// accepted connections, job control) go on. Everything between stop and detach of the home process is synchronous
// except for the keeper's answers.
#pragma once

#include <kj/async-io.h>

#include <string>

#include "common/base/unique_fd.h"
#include "deputy/base/notice.h"
#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"
#include "deputy/look/trace.h"
#include "deputy/memory/files.h"
#include "deputy/session/session.h"
#include "deputy/session/surroundings.h"
#include "deputy/session/watch.h"

namespace om::deputy {

enum class Where : uint8_t {
  kHome,  // and may leave
  kAway,  // home has decided to leave, and not yet to be home again
  kOver,  // home and native, or ended: nothing left to do
};

class Process {
 public:
  // KJ exception if `listen` is not an address to listen on.
  Process(kj::AsyncIoContext& context, pid_t pid, std::string node, const Link::Place& listen,
          LinkWire wire, Surroundings surroundings);

  bool away() const { return where_ == Where::kAway; }
  bool over() const { return where_ == Where::kOver; }
  // The node where it is.
  const std::string& at() const { return at_; }

  // Home has decided to leave. Makes the watch; the caller begins it.
  void leave(const std::string& to);
  // It is home and native: ends the session, and with it the body.
  void come_back();
  // A homecoming was only the first half of a move.
  void start_over() { where_ = Where::kHome; }

  // Tells om-migrator where it is: MOVING during a move, say_where() outside.
  void say(wire::State state) const { around.state(at_, state); }
  void say_where() const { say(away() ? wire::State::AWAY : wire::State::HOME); }
  // The same for a new om-migrator, with what it takes to take the process over.
  void report() const;
  // If the keeper is out of reach for a moment, waits for it and its page connection. OUT_OF_REACH.
  Step wait_for_keeper();
  // For a step that failed with an exception: the keeper may never have heard that its body is to go on.
  void let_body_go_on();
  // Null unless the process is away.
  Watch* watch() { return watch_.get(); }
  // Ends the session with the keeper, which ends the body.
  void disconnect();
  // Test aid: cuts "channels", "session" or "all". "node": what would follow if the other node did not come back.
  void cut(const std::string& what);

  kj::AsyncIoContext& io;
  const std::string home_node;
  const uint32_t member = kFirstMember;  // of the session
  const Surroundings around;
  Notice notice;  // something for attend()
  Session session;
  HomeSide home;
  SharedFiles files;
  Tracing tracing;
  ThreadPlans plans;  // of the last departure, for its rollback
  const UniqueFd pidfd;

 private:
  void look_after_files(bool write_files_back);

  std::string at_;
  Where where_ = Where::kHome;
  kj::Own<Watch> watch_;
};

}  // namespace om::deputy
