// SPDX-License-Identifier: Apache-2.0
#include "deputy/home_socket.h"

#include <errno.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/json_line.h"
#include "common/log.h"
#include "common/open_files.h"

namespace om::deputy {
namespace {

constexpr size_t kMaxGreetings = 256;

Result<void> check_directory(const std::string& dir) {
  struct stat st {};
  if (::lstat(dir.c_str(), &st) != 0) return errno_error("look at " + dir);
  if (!S_ISDIR(st.st_mode) || st.st_uid != ::getuid() || (st.st_mode & 022) != 0) {
    return plain_error(dir + " is not a directory of this user's own");
  }
  return {};
}

// A directory of this user's own for sockets: $XDG_RUNTIME_DIR/om, or /tmp/om-UID.
Result<std::string> socket_directory() {
  const char* runtime = ::getenv("XDG_RUNTIME_DIR");
  const std::string dir = runtime != nullptr && runtime[0] == '/' && strlen(runtime) < 60
                              ? fmt::format("{}/om", runtime)
                              : fmt::format("/tmp/om-{}", ::getuid());
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return errno_error("create " + dir);
  OM_TRY(check_directory(dir));
  return dir;
}

std::string random_name() {
  char bytes[6];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return "0";
  return to_hex(std::string_view(bytes, sizeof bytes));
}

bool from_process(int fd, pid_t pid) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid;
}

bool send_with_fds(int socket, const void* data, size_t bytes, const int* fds, size_t count) {
  iovec iov{const_cast<void*>(data), bytes};
  std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
  msghdr h{};
  h.msg_iov = &iov;
  h.msg_iovlen = 1;
  if (count > 0) {
    h.msg_control = control.data();
    h.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
  }
  return ::sendmsg(socket, &h, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes);
}

}  // namespace

Result<HomeSocket> HomeSocket::open(pid_t pid, const uint8_t (&session)[16], Channels channels) {
  HomeSocket s(pid, std::move(channels));
  memcpy(s.session_id_, session, sizeof s.session_id_);
  const std::string dir = OM_TRY(socket_directory());
  OM_TRY(s.listen_at(fmt::format("{}/d{}-{}", dir, pid, random_name())));
  return s;
}

Result<HomeSocket> HomeSocket::take_over(pid_t pid, const uint8_t (&session)[16],
                                         const std::string& path, Channels channels) {
  HomeSocket s(pid, std::move(channels));
  memcpy(s.session_id_, session, sizeof s.session_id_);
  // The path comes out of the process: only what open() could have made is removed.
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0 ||
      !std::string_view(path).substr(slash + 1).starts_with(fmt::format("d{}-", pid))) {
    return plain_error("the socket of the last deputy has no name of ours");
  }
  OM_TRY(check_directory(path.substr(0, slash)));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error("remove " + path);
  OM_TRY(s.listen_at(path));
  return s;
}

Result<void> HomeSocket::listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return plain_error(path + " is too long for a socket");
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 128) != 0) {
    return errno_error("listen on " + path);
  }
  path_ = path;
  listener_ = std::move(fd);
  return {};
}

HomeSocket::~HomeSocket() {
  if (listener_.valid()) ::unlink(path_.c_str());
}

void HomeSocket::accept_all() {
  not_accepted_ = false;
  for (;;) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      not_accepted_ = out_of_files(errno);
      return;
    }
    if (!from_process(fd.get(), pid_) || greeting_.size() >= kMaxGreetings) continue;
    greeting_.push_back(std::move(fd));
  }
}

void HomeSocket::serve(UniqueFd connection) {
  FetchRequest q{};
  const ssize_t n = ::recv(connection.get(), &q, sizeof q, 0);
  if (n < 0 && errno == EAGAIN) {
    greeting_.push_back(std::move(connection));
    return;
  }
  if (n != sizeof q || q.magic != kFetchMagic ||
      memcmp(q.session_id, session_id_, sizeof session_id_) != 0)
    return;
  if (q.slot == kFetchSession) {
    // One for our whole life: libom makes another only when the deputy has changed.
    if (session_.valid()) return;
    session_ = std::move(connection);
    ended_ = false;
    return;
  }
  FetchReply reply{1, q.slot};
  UniqueFd channel = channels_(q.slot);
  if (channel.valid()) reply.verdict = 0;
  const int fd = channel.get();
  if (!send_with_fds(connection.get(), &reply, sizeof reply, &fd, channel.valid() ? 1 : 0)) {
    log_warn("home", "a channel could not be handed to thread slot {}, ignoring", q.slot);
  }
}

void HomeSocket::read_session() {
  // The descriptor stays open after the end: an event loop may be watching it.
  while (session_.valid() && !ended_) {
    HomeMessage m{};
    const ssize_t n = ::recv(session_.get(), &m, sizeof m, 0);
    if (n == sizeof m) {
      messages_.push_back(m);
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else if (n <= 0) {
      ended_ = true;
    }
  }
}

void HomeSocket::pump() {
  accept_all();
  std::vector<UniqueFd> waiting = std::move(greeting_);
  greeting_.clear();
  for (auto& fd : waiting) serve(std::move(fd));
  read_session();
}

std::optional<HomeMessage> HomeSocket::next() {
  if (messages_.empty()) return std::nullopt;
  const HomeMessage m = messages_.front();
  messages_.pop_front();
  return m;
}

Result<void> HomeSocket::send_channels(const std::vector<std::pair<uint32_t, UniqueFd>>& channels) {
  size_t i = 0;
  do {
    ChannelBatch batch{};
    int fds[kChannelBatch];
    for (; i < channels.size() && batch.count < kChannelBatch; i++) {
      batch.slot[batch.count] = channels[i].first;
      fds[batch.count++] = channels[i].second.get();
    }
    batch.last = i == channels.size() ? 1 : 0;
    if (!send_with_fds(session_.get(), &batch, sizeof batch, fds, batch.count))
      return errno_error("hand over channels");
  } while (i < channels.size());
  return {};
}

void HomeSocket::reset_session() {
  session_.reset();
  ended_ = false;
  messages_.clear();
}

}  // namespace om::deputy
