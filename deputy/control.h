// SPDX-License-Identifier: Apache-2.0
//
// JSON lines with om-migrator on descriptor 3 (docs/ARCHITECTURE.md, "om-migrator and om-deputy"). The daemon
// may go away (restart): then what is said goes nowhere, until its successor answers at the control socket.
#pragma once

#include <kj/async-io.h>
#include <kj/io.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "common/movable/reasons.h"
#include "common/net/json_line.h"

namespace om::deputy {

class Control {
 public:
  struct Attaching {
    std::string path;                // of the control socket; empty: never
    Json request;                    // what is said there first
    std::function<bool()> wanted;    // asked before each attempt
    std::function<void()> attached;  // a daemon has accepted us
  };
  Control(kj::AsyncIoContext& io, int fd, Attaching attaching);

  // A command that has not been taken yet (not answers to need_guest).
  std::optional<Json> next();
  // Resolves when next() may have something, or the daemon is gone.
  kj::Promise<void> arrived();
  bool ended() const { return ended_; }

  void send(const Json& line);
  // Everything sent has been written.
  kj::Promise<void> flushed();
  // The answer to need_guest number `id`; a reason if the target refused.
  kj::Promise<std::optional<Reason>> guest_answer(int64_t id);

 private:
  kj::Promise<void> read_loop();
  void lose();
  void wake();
  kj::Promise<void> attach_again();
  kj::Promise<void> attach();
  void take(std::string_view line);

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    void taskFailed(kj::Exception&& exception) override;
  };

  kj::AsyncIoContext& io_;
  Attaching attaching_;
  kj::Own<kj::AsyncIoStream> stream_;
  kj::Array<char> buffer_ = kj::heapArray<char>(8192);
  LineSplitter lines_{kMaxRequestBytes};
  std::deque<Json> commands_;
  std::map<int64_t, kj::Own<kj::PromiseFulfiller<std::optional<Reason>>>> answers_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> arrived_;
  kj::Promise<void> writing_ = kj::READY_NOW;
  bool ended_ = false;
  Errors errors_;
  kj::TaskSet tasks_{errors_};
};

}  // namespace om::deputy
