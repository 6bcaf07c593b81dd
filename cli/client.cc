// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <errno.h>
#include <fmt/core.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>

#include "common/base/names.h"
#include "common/base/unique_fd.h"

namespace om::cli {
namespace {

Answer failed(ExitCode exit, ReasonCode code, std::string message) {
  Answer answer;
  answer.failure = {exit, code, std::move(message)};
  return answer;
}

Answer no_daemon(const std::string& path, const char* what) {
  return failed(ExitCode::kUnreachable, ReasonCode::kNoDaemon,
                fmt::format("no daemon answers at {}: {}", path, what));
}

// Waits for `events`; false if the deadline passes.
bool wait_for(int fd, short events, MonotonicTime deadline) {
  for (;;) {
    pollfd item{fd, events, 0};
    int ready = ::poll(&item, 1,
                       static_cast<int>(std::min<int64_t>(left_until(deadline).count(), 1 << 30)));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return false;
  }
}

}  // namespace

Answer request(const std::string& path, const Json& request, Milliseconds limit) {
  MonotonicTime deadline = std::chrono::steady_clock::now() + limit;
  if (path.size() > kMaxControlPath) return no_daemon(path, ::strerror(ENAMETOOLONG));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return no_daemon(path, ::strerror(errno));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return no_daemon(path, ::strerror(errno));
  }
  std::string line = to_json_line(request);
  for (size_t sent = 0; sent < line.size();) {
    ssize_t n = ::send(socket.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    // If the daemon turned us away, it sent the reason and closed before our request arrived.
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) break;
    if (n < 0 && errno != EINTR) return no_daemon(path, ::strerror(errno));
    if (n > 0) sent += static_cast<size_t>(n);
  }
  LineSplitter splitter(kMaxAnswerBytes);
  while (!splitter.has_line()) {
    if (!wait_for(socket.get(), POLLIN, deadline)) {
      return failed(ExitCode::kTimeout, ReasonCode::kTimeout,
                    fmt::format("the daemon at {} did not answer in time", path));
    }
    std::array<char, 65536> buffer;
    ssize_t n = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return no_daemon(path, ::strerror(errno));
    if (n == 0) return no_daemon(path, "it closed the connection");
    if (!splitter.push({buffer.data(), static_cast<size_t>(n)}))
      return no_daemon(path, "its answer is too long");
  }
  auto value = parse_json_line(splitter.pop());
  auto answer = value ? parse_answer(*value) : Result<Answer>(value.error());
  if (!answer) return no_daemon(path, "it does not speak the control protocol");
  return std::move(*answer);
}

Answer request(const Json& value, Milliseconds limit) {
  return request(client_control_path(), value, limit);
}

}  // namespace om::cli
