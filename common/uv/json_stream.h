// SPDX-License-Identifier: Apache-2.0
//
// JSON lines both ways on a connected stream socket, on a uv loop. Used by om-migrator for its control
// clients. Lines in and the queue out are bounded; the peer's mistakes end the stream
// with an Error, never the program. Handlers run on the loop's thread and may destroy the stream.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/base/unique_fd.h"
#include "common/net/json_line.h"
#include "common/uv/loop.h"

namespace om {

class JsonStream {
 public:
  struct Handlers {
    std::function<void(const Json&)> on_line;
    // No more lines will come. Called once. No Error: end of file; an Error without errno: the peer sent no
    // JSON line. After these two the stream still sends (the peer may have shut down one direction only).
    // An Error with an errno: the socket is broken.
    std::function<void(std::optional<Error>)> on_end;
    // Everything sent so far has left. May be empty.
    std::function<void()> on_drained;
  };
  struct Limits {
    size_t line_bytes = kMaxRequestBytes;  // of a line that comes in
    size_t queue_bytes = kMaxAnswerBytes;  // not yet taken by the peer; more ends the stream
  };

  // Makes `socket` non-blocking.
  JsonStream(Loop& loop, UniqueFd socket, Handlers handlers, Limits limits);
  ~JsonStream();
  JsonStream(const JsonStream&) = delete;
  JsonStream& operator=(const JsonStream&) = delete;

  // Queued; nothing happens after a broken end. Does not call handlers before it returns.
  void send(const Json& value);
  // Everything sent has left, or can never leave.
  bool drained() const;
  // Nothing more is sent or received; the peer finds the end of the stream.
  void hang_up();
  // The connection goes on with another protocol: the socket, if nothing is left to be sent and nothing has been read
  // behind the line that is being handled, else an invalid one. If valid, the stream calls no handler any more.
  UniqueFd take_socket();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace om
