// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/control_server.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/own_directory.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kAcceptPause{100};
constexpr Milliseconds kGrace{5000};  // during which a new client does not count as idle
constexpr size_t kMaxPending = 64;    // unanswered requests of one client

// The lock, not the socket file, shows that a daemon is running: a killed one leaves its socket behind.
Result<UniqueFd> take_lock(const std::string& path) {
  const std::string lock_path = path + ".lock";
  for (;;) {
    UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return errno_error("open " + lock_path);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
      return Error{EADDRINUSE, fmt::format("another om-migrator listens on {}", path)};
    // An exiting daemon may have removed the file between open and flock: nobody else would find that lock.
    struct stat held {};
    struct stat named {};
    if (::fstat(lock.get(), &held) != 0) return errno_error("look at " + lock_path);
    if (::lstat(lock_path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
        held.st_ino == named.st_ino)
      return lock;
  }
}

// For a client that is turned away. It may not have sent its request yet, but om reads the answer all the same.
void send_refusal(int socket, const std::string& why) {
  const std::string line =
      to_json_line(failure_answer({ExitCode::kFailure, ReasonCode::kTooManyRequests, why}));
  static_cast<void>(::send(socket, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
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
  bool preferred = false;
  std::unique_ptr<JsonStream> stream;
  size_t pending = 0;
  bool input_ended = false;
  MonotonicTime active = std::chrono::steady_clock::now();  // of the last request or answer
};

Result<std::unique_ptr<ControlServer>> ControlServer::listen(Loop& loop, const std::string& path,
                                                             mode_t mode) {
  if (path.empty() || path.size() > kMaxControlPath) {
    return Error{ENAMETOOLONG,
                 fmt::format("control socket {} (at most {} bytes)", path, kMaxControlPath)};
  }
  // In somebody else's directory the socket could be replaced later.
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
      idle_check_(loop),
      self_(std::make_shared<ControlServer*>(this)) {}

ControlServer::~ControlServer() {
  *self_ = nullptr;
  ::unlink(path_.c_str());
  ::unlink((path_ + ".lock").c_str());
}

void ControlServer::serve(Handler handler, Taker taker,
                          std::function<bool(const Caller&)> must_get_in, Limits limits) {
  handler_ = std::move(handler);
  taker_ = std::move(taker);
  must_get_in_ = std::move(must_get_in);
  limits_ = limits;
  idle_check_.start_repeating(std::max(limits_.idle / 4, Milliseconds(1)),
                              [this] { drop_idle_clients(); });
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
      // The socket stays readable: without a pause the loop would do nothing else.
      poller_.stop();
      accept_again_.start(kAcceptPause, [this] { listen_on(); });
    }
    return;
  }
  const auto known = read_caller(socket.get());
  if (!known) {
    log_error("control", "{}, ignoring", known.error().text());
    return;
  }
  const Caller& caller = *known;
  const bool preferred = must_get_in_ && must_get_in_(caller);
  std::string why;
  if (!make_room(caller.uid, preferred, why)) {
    // Not a log line, or the user could fill the log: the client gets the answer.
    log_debug("control", "user {}: {}", caller.uid, why);
    return send_refusal(socket.get(), why);
  }
  add_client(std::move(socket), caller, preferred);
}

bool ControlServer::make_room(uid_t uid, bool preferred, std::string& why) {
  std::map<uid_t, size_t> counts;
  size_t ordinary = 0;
  for (auto& [id, client] : clients_) {
    if (client->preferred) continue;
    ++counts[client->caller.uid];
    ++ordinary;
  }
  if (preferred) {
    // Preferred callers may also use what ordinary users leave free.
    if (clients_.size() < limits_.clients + limits_.reserved || drop_client_of(uid, false))
      return true;
    why = fmt::format("this daemon has {} connections already", clients_.size());
    return false;
  }
  if (counts[uid] >= limits_.clients_of_user && !drop_client_of(uid, false)) {
    why =
        fmt::format("user {} has {} connections to this daemon already, as many as a user may have",
                    uid, counts[uid]);
    return false;
  }
  if (ordinary < limits_.clients) return true;
  auto most = std::max_element(counts.begin(), counts.end(),
                               [](auto& a, auto& b) { return a.second < b.second; });
  if (most->second > counts[uid] + 1 && drop_client_of(most->first, true)) return true;
  why = fmt::format("this daemon has {} connections of ordinary users already", ordinary);
  return false;
}

// Drops the user's client that has been idle for longest. If all of them wait for an answer, drops none or, with
// `also_waiting`, the one that has waited longest.
bool ControlServer::drop_client_of(uid_t uid, bool also_waiting) {
  auto longest = clients_.end();
  bool longest_waits = true;
  for (auto it = clients_.begin(); it != clients_.end(); ++it) {
    const Client& client = *it->second;
    const bool waits = client.pending != 0;
    if (client.caller.uid != uid || (waits && !also_waiting)) continue;
    // A client that has only just connected has hardly had time to ask.
    if (!also_waiting && std::chrono::steady_clock::now() - client.active < kGrace) continue;
    const bool better = longest == clients_.end() || waits < longest_waits ||
                        (waits == longest_waits && client.active < longest->second->active);
    if (!better) continue;
    longest = it;
    longest_waits = waits;
  }
  if (longest == clients_.end()) return false;
  clients_.erase(longest);
  return true;
}

void ControlServer::drop_idle_clients() {
  const MonotonicTime before = std::chrono::steady_clock::now() - limits_.idle;
  std::erase_if(clients_, [before](auto& item) {
    return item.second->pending == 0 && item.second->active < before;
  });
}

void ControlServer::add_client(UniqueFd socket, const Caller& caller, bool preferred) {
  uint64_t id = ++last_id_;
  auto client = std::make_unique<Client>();
  client->caller = caller;
  client->preferred = preferred;
  JsonStream::Handlers handlers;
  handlers.on_line = [this, id](const Json& request) { on_request(id, request); };
  handlers.on_end = [this, id](std::optional<Error> error) {
    Client& ended = *clients_.at(id);
    ended.input_ended = true;
    if (error && error->err == 0) {
      // The client's error, not the socket's: the client can still be told.
      ended.stream->send(
          failure_answer({ExitCode::kUsage, ReasonCode::kBadRequest, error->text()}));
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
  client.active = std::chrono::steady_clock::now();
  if (client.pending >= kMaxPending) {
    client.stream->send(failure_answer({ExitCode::kFailure, ReasonCode::kTooManyRequests,
                                        "too many unanswered requests on this connection"}));
    return;
  }
  if (taker_(client.caller, request, client.stream)) {
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
    it->second->active = std::chrono::steady_clock::now();
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
