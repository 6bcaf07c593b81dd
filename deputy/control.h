// SPDX-License-Identifier: Apache-2.0
//
// The connection to om-migrator (common/schema/deputy.capnp), first on descriptor 3. The daemon may go away (restart):
// then what we say goes nowhere until its successor answers at the control socket.
#pragma once

#include <kj/async-io.h>

#include <functional>
#include <string>

#include "common/net/json_line.h"
#include "common/schema/deputy.capnp.h"
#include "deputy/base/notice.h"
#include "deputy/commands.h"

namespace om::deputy {

class Control {
 public:
  struct Attaching {
    std::string path;                // of the control socket; empty: never
    Json request;                    // what we say there first
    std::function<bool()> wanted;    // asked before each attempt
    std::function<void()> attached;  // a daemon has accepted us
  };
  // `news`: notified when a daemon has gone or come.
  Control(kj::AsyncIoContext& io, int fd, CommandQueue& commands, Notice& news,
          Attaching attaching);
  ~Control() noexcept(false);

  // The daemon; null while there is none.
  wire::Daemon::Client* daemon();
  // Lets a call to the daemon finish in the background; nobody needs the answer.
  void tell(kj::Promise<void> call);
  // Resolves when the daemon has heard everything, including the answers to commands, or is gone.
  kj::Promise<void> leave();

 private:
  struct Connection;
  void begin(kj::Own<kj::AsyncIoStream> stream);
  void lose();
  kj::Promise<void> attach_again();
  kj::Promise<void> attach();

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    void taskFailed(kj::Exception&& exception) override;
  };

  kj::AsyncIoContext& io_;
  CommandQueue& commands_;
  Notice& news_;
  Attaching attaching_;
  kj::Own<Connection> connection_;
  bool ended_ = false;
  Errors errors_;
  kj::TaskSet tasks_{errors_};
};

}  // namespace om::deputy
