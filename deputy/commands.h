// SPDX-License-Identifier: Apache-2.0
//
// What the daemon has a deputy do: wire::Deputy of common/schema/deputy.capnp. Calls arrive in tasks and wait here; the
// top level carries them out one at a time, in order. Calls of a daemon that has gone are carried out all the same,
// before those of the next one.
#pragma once

#include <kj/async.h>
#include <kj/function.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <string>

#include "common/movable/verdict.h"
#include "common/schema/deputy.capnp.h"
#include "deputy/base/notice.h"
#include "deputy/moves/record.h"
#include "deputy/session/link.h"

namespace om::deputy {

// Called on the top level. An exception from any of them ends the deputy.
class Commands {
 public:
  virtual MoveRecord depart(const std::string& to) = 0;
  virtual MoveRecord come_home() = 0;
  // Reports: one JSON object each.
  virtual Verdict<nlohmann::json> stack() = 0;
  virtual Verdict<nlohmann::json> trace(uint64_t cursor) = 0;
  virtual void take_over(const std::string& at, const SessionTerms& terms, bool moving) = 0;
  virtual void cut(const std::string& what) = 0;

 protected:
  ~Commands() = default;
};

class CommandQueue {
 public:
  // `news`: notified when a command has come.
  CommandQueue(Commands& commands, Notice& news) : commands_(commands), news_(news) {}

  // The object that a daemon calls.
  wire::Deputy::Client capability();
  // Carries out the oldest command. False: there is none.
  bool obey();

 private:
  class Service;
  struct Command {
    kj::Function<void()> carry_out;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };
  kj::Promise<void> add(kj::Function<void()> carry_out);

  Commands& commands_;
  Notice& news_;
  std::deque<Command> waiting_;
};

}  // namespace om::deputy
