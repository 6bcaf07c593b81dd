// SPDX-License-Identifier: Apache-2.0
//
// JSON lines both ways on a connected stream socket, on a uv loop. Used by om-migrator for its control clients.
// Incoming lines and the output queue are bounded. An error of the peer ends the stream with an Error, never the
// program. Handlers run on the loop's thread and may destroy the stream.
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
    // No more lines will come. Called once. No Error: end of file. An Error without errno: the peer sent something that
    // is not a JSON line. In both cases the stream still sends (the peer may have shut down only one direction). An
    // Error with an errno: the socket is broken.
    std::function<void(std::optional<Error>)> on_end;
    // Everything sent so far has been written. May be empty.
    std::function<void()> on_drained;
  };
  struct Limits {
    size_t line_bytes = kMaxRequestBytes;  // of an incoming line
    size_t queue_bytes = kMaxAnswerBytes;  // not yet accepted by the peer; more ends the stream
  };

  // Makes `socket` non-blocking.
  JsonStream(Loop& loop, UniqueFd socket, Handlers handlers, Limits limits);
  ~JsonStream();
  JsonStream(const JsonStream&) = delete;
  JsonStream& operator=(const JsonStream&) = delete;

  // Queues `value`; does nothing once the socket is broken. Does not call handlers before it returns.
  void send(const Json& value);
  // Whether everything sent has been written, or never can be.
  bool drained() const;
  // Stops sending and receiving; the peer sees the end of the stream.
  void hang_up();
  // Takes the socket, for a connection that continues with another protocol. Invalid if something is left to send, or
  // something has been read beyond the line being handled. If valid, the stream calls no more handlers.
  UniqueFd take_socket();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace om
