// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: a peer on the control socket (common/uv/json_stream.h). The bytes arrive through a socket;
// the stream must end exactly once, nothing may come after the end, and a handler may destroy the
// stream at any line (the first byte says at which).
#include "common/uv/json_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::fuzz::Bytes input(data, size);
  const unsigned destroy_at = input.take<uint8_t>();
  int ends[2];
  require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  om::UniqueFd peer(ends[1]);

  om::Loop loop;
  std::unique_ptr<om::JsonStream> stream;
  unsigned lines = 0, ended = 0;
  bool destroyed = false;
  om::JsonStream::Handlers handlers;
  handlers.on_line = [&](const om::Json& line) {
    require(line.is_object() && ended == 0 && !destroyed);
    if (++lines == destroy_at) {
      destroyed = true;
      stream.reset();
      loop.stop();
    } else {
      stream->send(line);
    }
  };
  handlers.on_end = [&](std::optional<om::Error>) {
    require(ended++ == 0 && !destroyed);
    loop.stop();
  };
  om::JsonStream::Limits limits;
  limits.line_bytes = 4096;
  limits.queue_bytes = 1 << 20;
  stream = std::make_unique<om::JsonStream>(loop, om::UniqueFd(ends[0]), handlers, limits);
  // Leaves out what does not fit into the socket: the target is not about flow control.
  const ssize_t sent = write(peer.get(), input.rest(), input.rest_size());
  require(sent >= 0 || input.rest_size() == 0);
  shutdown(peer.get(), SHUT_WR);
  loop.run();
  require(ended + (destroyed ? 1 : 0) == 1);
  return 0;
}
