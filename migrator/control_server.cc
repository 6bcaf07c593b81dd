// SPDX-License-Identifier: Apache-2.0
#include "migrator/control_server.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/log.h"
#include "common/names.h"
#include "common/own_directory.h"

namespace om::migrator {
namespace {

constexpr size_t kMaxClients = 256;
constexpr size_t kMaxClientsOfUser = 64;  // nobody but root can keep the others out
constexpr Milliseconds kAcceptPause{100};
constexpr size_t kMaxPending = 64;  // unanswered requests of one client

// The lock, not the socket file, says that a daemon is there: a killed one leaves its socket behind.
Result<UniqueFd> take_lock(const std::string& path) {
  const std::string lock_path = path + ".lock";
  for (;;) {
    UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return errno_error("open " + lock_path);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
      return Error{EADDRINUSE, fmt::format("another om-migrator listens on {}", path)};
    // One that was ending may have removed the file between open and flock: a lock that nobody else would find.
    struct stat held {};
    struct stat named {};
    if (::fstat(lock.get(), &held) != 0) return errno_error("look at " + lock_path);
    if (::lstat(lock_path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
        held.st_ino == named.st_ino)
      return lock;
  }
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

struct ControlServer::Client {
  Caller caller;
  std::unique_ptr<JsonStream> stream;
  size_t pending = 0;
  bool input_ended = false;
};

Result<std::unique_ptr<ControlServer>> ControlServer::listen(Loop& loop, const std::string& path,
                                                             mode_t mode) {
  if (path.empty() || path.size() > kMaxControlPath) {
    return Error{ENAMETOOLONG,
                 fmt::format("control socket {} (at most {} bytes)", path, kMaxControlPath)};
  }
  // In a directory of somebody else's the socket could be replaced later.
  OM_TRY(OwnDirectory::make(split_path(path).first, mode == 0600 ? 0700 : 0755));
  UniqueFd lock = OM_TRY(take_lock(path));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("socket");
  ::unlink(path.c_str());
  sockaddr_un address = unix_address(path);
  mode_t old_mask = ::umask(0777 & ~mode);
  int status = ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  int bind_errno = errno;
  ::umask(old_mask);
  if (status != 0) return Error{bind_errno, "bind " + path};
  if (::listen(socket.get(), 64) != 0) return errno_error("listen on " + path);
  return std::unique_ptr<ControlServer>(
      new ControlServer(loop, path, std::move(lock), std::move(socket)));
}

ControlServer::ControlServer(Loop& loop, std::string path, UniqueFd lock, UniqueFd socket)
    : loop_(loop),
      path_(std::move(path)),
      lock_(std::move(lock)),
      socket_(std::move(socket)),
      poller_(loop, socket_.get()),
      accept_again_(loop),
      self_(std::make_shared<ControlServer*>(this)) {}

ControlServer::~ControlServer() {
  *self_ = nullptr;
  ::unlink(path_.c_str());
  ::unlink((path_ + ".lock").c_str());
}

void ControlServer::serve(Handler handler, Adopter adopter) {
  handler_ = std::move(handler);
  adopter_ = std::move(adopter);
  listen_on();
}

void ControlServer::listen_on() {
  poller_.start(UV_READABLE, [this](int, int) { accept_some(); });
}

void ControlServer::accept_some() {
  UniqueFd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      log_error("control", "{}, again in {} ms", errno_error("accept a client").text(),
                kAcceptPause.count());
      // It stays readable: without a pause the loop would do nothing else.
      poller_.stop();
      accept_again_.start(kAcceptPause, [this] { listen_on(); });
    }
    return;
  }
  if (clients_.size() >= kMaxClients) {
    log_warn("control", "more than {} clients, ignoring one", kMaxClients);
    return;
  }
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    log_error("control", "{}, ignoring", errno_error("learn who a client is").text());
    return;
  }
  size_t of_user =
      static_cast<size_t>(std::count_if(clients_.begin(), clients_.end(), [&](auto& item) {
        return item.second->caller.uid == credentials.uid;
      }));
  if (credentials.uid != 0 && of_user >= kMaxClientsOfUser) {
    log_warn("control", "more than {} clients of user {}, ignoring one", kMaxClientsOfUser,
             credentials.uid);
    return;
  }
  uint64_t id = ++last_id_;
  auto client = std::make_unique<Client>();
  client->caller = Caller{credentials.uid, credentials.pid};
  JsonStream::Handlers handlers;
  handlers.on_line = [this, id](const Json& request) { on_request(id, request); };
  handlers.on_end = [this, id](std::optional<Error> error) {
    Client& ended = *clients_.at(id);
    ended.input_ended = true;
    if (error && error->err == 0) {
      // The client's mistake, not the socket's: it can still be told.
      ended.stream->send(failure_answer({ExitCode::kUsage, "BAD_REQUEST", error->text()}));
    }
    close_if_done(id);
  };
  handlers.on_drained = [this, id] { close_if_done(id); };
  client->stream = std::make_unique<JsonStream>(loop_, std::move(socket), std::move(handlers),
                                                JsonStream::Limits{});
  clients_.emplace(id, std::move(client));
}

void ControlServer::on_request(uint64_t id, const Json& request) {
  Client& client = *clients_.at(id);
  if (client.pending >= kMaxPending) {
    client.stream->send(failure_answer({ExitCode::kFailure, "TOO_MANY_REQUESTS",
                                        "too many unanswered requests on this connection"}));
    return;
  }
  if (adopter_(client.caller, request, client.stream)) {
    clients_.erase(id);
    return;
  }
  ++client.pending;
  auto answered = std::make_shared<bool>(false);
  handler_(client.caller, request, [server = self_, id, answered](Json answer) {
    if (std::exchange(*answered, true) || *server == nullptr) return;
    auto it = (*server)->clients_.find(id);
    if (it == (*server)->clients_.end()) return;
    --it->second->pending;
    it->second->stream->send(answer);
    (*server)->close_if_done(id);
  });
}

void ControlServer::close_if_done(uint64_t id) {
  auto it = clients_.find(id);
  if (it == clients_.end()) return;
  Client& client = *it->second;
  if (client.input_ended && client.pending == 0 && client.stream->drained()) clients_.erase(it);
}

}  // namespace om::migrator
