// SPDX-License-Identifier: Apache-2.0
#include "common/uv/json_stream.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace om {
namespace {

constexpr size_t kHoldBackBytes = 256 << 10;  // of answers that the peer has not accepted

}  // namespace

// Shared, so that a handler may destroy the JsonStream while this code is on the stack: `gone` is then set and nothing
// else is touched.
struct JsonStream::State : std::enable_shared_from_this<JsonStream::State> {
  State(Loop& loop, UniqueFd fd, Handlers given, Limits given_limits)
      : socket(std::move(fd)),
        poller(std::make_unique<Poller>(loop, socket.get())),
        handlers(std::move(given)),
        limits(given_limits),
        splitter(given_limits.line_bytes) {}

  UniqueFd socket;
  std::unique_ptr<Poller> poller;  // declared after the socket: destroyed before it
  Handlers handlers;
  Limits limits;
  LineSplitter splitter;
  std::string out;
  size_t sent = 0;  // of `out`
  bool ended = false;
  bool broken = false;
  bool gone = false;

  // A peer that does not accept answers gets no more: its lines wait, and then so does the peer.
  bool held_back() const { return out.size() - sent > kHoldBackBytes; }

  void update_events() {
    int events = 0;
    if (!ended && !held_back()) events |= UV_READABLE;
    if (!out.empty() && !broken) events |= UV_WRITABLE;
    poller->change(events);
  }

  void drop_queue() {
    out.clear();
    sent = 0;
  }

  void end(std::optional<Error> error) {
    bool failed = error && error->err != 0;
    if (failed) {
      broken = true;
      drop_queue();
    }
    bool first = !std::exchange(ended, true);
    if (first && handlers.on_end) {
      // A copy: the handler may destroy the stream and with it the handlers.
      auto run = handlers.on_end;
      run(std::move(error));
    } else if (!first && failed && handlers.on_drained) {
      // The queue is empty, though nothing was delivered: a caller that waits to close must not wait for ever.
      auto run = handlers.on_drained;
      run();
    }
  }

  void on_events(int status, int events) {
    auto self = shared_from_this();
    if (status < 0) {
      end(Error{-status, "wait for the peer"});
    } else {
      if ((events & UV_WRITABLE) != 0) flush(true);
      if (!gone && !broken) take_lines();
      // Read nothing beyond lines that still wait: the end of the stream would overtake them.
      const bool may_read = !gone && !broken && !held_back() && !splitter.has_line();
      if (may_read && (events & UV_READABLE) != 0) receive();
    }
    if (!gone) update_events();
  }

  void flush(bool may_call) {
    bool had = !out.empty();
    while (!out.empty()) {
      ssize_t n =
          ::send(socket.get(), out.data() + sent, out.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) {
        Error error = errno_error("send to the peer");
        // send() calls no handler; the next turn finds the socket broken and says so.
        if (may_call) return end(std::move(error));
        return;
      }
      sent += static_cast<size_t>(n);
      if (sent == out.size()) drop_queue();
    }
    if (had && may_call && handlers.on_drained) {
      auto run = handlers.on_drained;
      run();
    }
  }

  void receive() {
    std::array<char, 16384> buffer;
    ssize_t n = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n < 0) return end(errno_error("receive from the peer"));
    if (n == 0) return end(std::nullopt);
    auto pushed = splitter.push({buffer.data(), static_cast<size_t>(n)});
    take_lines();
    if (!pushed && !gone) end(pushed.error());
  }

  void take_lines() {
    while (splitter.has_line() && !gone && !ended && !held_back()) {
      auto value = parse_json_line(splitter.pop());
      if (!value) return end(value.error());
      auto run = handlers.on_line;
      run(*value);
    }
  }
};

JsonStream::JsonStream(Loop& loop, UniqueFd socket, Handlers handlers, Limits limits) {
  int flags = ::fcntl(socket.get(), F_GETFL);
  ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
  state_ = std::make_shared<State>(loop, std::move(socket), std::move(handlers), limits);
  state_->poller->start(UV_READABLE, [state = state_.get()](int status, int events) {
    state->on_events(status, events);
  });
}

JsonStream::~JsonStream() {
  state_->gone = true;
  // Write what can be written at once, such as a last answer before the connection is closed.
  if (!state_->broken) state_->flush(false);
  state_->poller.reset();
  state_->socket.reset();
}

void JsonStream::send(const Json& value) {
  if (state_->broken) return;
  state_->out += to_json_line(value);
  if (state_->out.size() - state_->sent > state_->limits.queue_bytes) {
    // The peer does not accept its answers: cut it off. The next turn reports the end.
    state_->drop_queue();
    ::shutdown(state_->socket.get(), SHUT_RDWR);
  }
  // The loop's next turn writes the bytes and calls on_drained.
  state_->update_events();
}

bool JsonStream::drained() const { return state_->out.empty(); }

void JsonStream::hang_up() { ::shutdown(state_->socket.get(), SHUT_RDWR); }

UniqueFd JsonStream::take_socket() {
  State& state = *state_;
  if (state.ended || !state.out.empty() || state.splitter.has_line() ||
      state.splitter.pending_bytes() != 0)
    return UniqueFd();
  state.gone = true;
  state.poller.reset();
  return std::move(state.socket);
}

}  // namespace om
