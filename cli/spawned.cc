// SPDX-License-Identifier: Apache-2.0
#include "cli/spawned.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

#include "cli/output.h"
#include "common/base/pipe.h"
#include "common/base/text.h"

namespace om::cli {
namespace {

constexpr size_t kMaxErrors = 4096;
constexpr size_t kMaxOutput = 1 << 20;

Result<void> set_nonblocking(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("pipe");
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// With default signals and the three descriptors, in a session of its own.
Result<pid_t> spawn(const std::vector<std::string>& command, int in, int out, int err,
                    const std::vector<std::string>& more_environment) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_init(&actions);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int number = 0;
  for (const int fd : {in, out, err}) {
    if (fd >= 0) ::posix_spawn_file_actions_adddup2(&actions, fd, number);
    if (fd < 0) ::posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0);
    ++number;
  }
  std::vector<std::string> variables = more_environment;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  const std::vector<char*> arguments = pointers(command), environment = pointers(variables);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(),
                                   environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return Error{error, command.front()};
  return pid;
}

// For poll().
int milliseconds_until(MonotonicTime deadline) {
  return static_cast<int>(std::min<int64_t>(left_until(deadline).count(), 1 << 30));
}

}  // namespace

Spawned& Spawned::operator=(Spawned&& other) noexcept {
  end();
  pid_ = std::exchange(other.pid_, 0);
  status_ = other.status_;
  stop_ = other.stop_;
  ended_ = other.ended_;
  in_ = std::move(other.in_);
  out_ = std::move(other.out_);
  err_ = std::move(other.err_);
  lines_ = std::move(other.lines_);
  errors_ = std::move(other.errors_);
  return *this;
}

Spawned::~Spawned() { end(); }

Result<Spawned> Spawned::start(const std::vector<std::string>& command, int stop) {
  Pipe in = OM_TRY(Pipe::make()), out = OM_TRY(Pipe::make()), err = OM_TRY(Pipe::make());
  for (const UniqueFd* fd : {&in.write, &out.read, &err.read}) OM_TRY(set_nonblocking(*fd));
  Spawned started;
  started.pid_ = OM_TRY(spawn(command, in.read.get(), out.write.get(), err.write.get(), {}));
  started.stop_ = stop;
  started.in_ = std::move(in.write);
  started.out_ = std::move(out.read);
  started.err_ = std::move(err.read);
  return started;
}

Spawned::Wait Spawned::wait(bool to_send, Milliseconds limit) {
  const MonotonicTime deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    std::array<pollfd, 4> items{{{to_send ? in_.get() : -1, POLLOUT, 0},
                                 {to_send ? -1 : out_.get(), POLLIN, 0},
                                 {err_.get(), POLLIN, 0},
                                 {stop_, POLLIN, 0}}};
    const int ready = ::poll(items.data(), items.size(), milliseconds_until(deadline));
    if (ready < 0 && errno != EINTR) return Wait::kTimeout;
    if (ready == 0) return Wait::kTimeout;
    if (ready < 0) continue;
    if (items[3].revents != 0) return Wait::kStopped;
    if (items[2].revents != 0) read_errors();
    if (items[0].revents != 0 || items[1].revents != 0) return Wait::kReady;
  }
}

void Spawned::read_errors() {
  std::array<char, 4096> buffer;
  const ssize_t n = ::read(err_.get(), buffer.data(), buffer.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return err_.reset();
  errors_.append(buffer.data(), static_cast<size_t>(n));
  if (errors_.size() > kMaxErrors) errors_.erase(0, errors_.size() - kMaxErrors);
}

Result<void> Spawned::send(std::string_view bytes, Milliseconds stall) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(in_.get(), bytes.data(), bytes.size());
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      const Wait waited = wait(true, stall);
      if (waited == Wait::kStopped) return Error{EINTR, "start"};
      if (waited == Wait::kTimeout)
        return plain_error(fmt::format("it took nothing for {} s", stall.count() / 1000));
    } else if (errno != EINTR) {
      return errno_error("send");
    }
  }
  return {};
}

bool Spawned::look() {
  if (err_) read_errors();
  std::array<char, 4096> buffer;
  while (!ended_) {
    const ssize_t n = ::read(out_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    ended_ = n <= 0 || !lines_.push({buffer.data(), static_cast<size_t>(n)});
  }
  return !ended_;
}

Result<std::string> Spawned::line(Milliseconds limit) {
  const MonotonicTime deadline = std::chrono::steady_clock::now() + limit;
  while (!lines_.has_line()) {
    if (ended_) return plain_error(last_words());
    const Wait waited = wait(false, Milliseconds(milliseconds_until(deadline)));
    if (waited == Wait::kStopped) return Error{EINTR, "start"};
    if (waited == Wait::kTimeout)
      return plain_error(fmt::format("no answer within {} s", limit.count() / 1000));
    look();
  }
  return lines_.pop();
}

std::string Spawned::finish(Milliseconds limit) {
  in_.reset();
  stop_ = -1;
  const MonotonicTime deadline = std::chrono::steady_clock::now() + limit;
  std::string last;
  while (pid_ > 0 && look()) {
    if (wait(false, Milliseconds(milliseconds_until(deadline))) != Wait::kReady) break;
  }
  while (lines_.has_line()) last = lines_.pop();
  end();
  return last;
}

// Once its output has ended it ends by itself; a launcher that stays longer is killed.
void Spawned::end() {
  if (pid_ <= 0) return;
  in_.reset();
  out_.reset();
  constexpr Milliseconds kPatience{2000}, kStep{5};
  const MonotonicTime deadline = std::chrono::steady_clock::now() + kPatience;
  while (::waitpid(pid_, &status_, WNOHANG) == 0) {
    if (!ended_ || std::chrono::steady_clock::now() > deadline) {
      ::kill(-pid_, SIGKILL);
      ended_ = true;
    }
    ::poll(nullptr, 0, static_cast<int>(kStep.count()));
  }
  pid_ = 0;
}

std::string Spawned::last_words() {
  end();
  while (err_) {
    pollfd item{err_.get(), POLLIN, 0};
    if (::poll(&item, 1, 0) <= 0) break;
    read_errors();
  }
  std::string last;
  for (std::string_view rest = errors_; !rest.empty();) {
    const std::string_view text = trim(take_line(rest));
    if (!text.empty()) last = harmless(text.substr(0, 300));
  }
  if (!last.empty()) return last;
  if (WIFSIGNALED(status_)) return fmt::format("signal {} ended it", WTERMSIG(status_));
  return fmt::format("it ended with status {}", WEXITSTATUS(status_));
}

Result<std::string> output_of(const std::vector<std::string>& command, Milliseconds limit,
                              const std::vector<std::string>& more_environment) {
  Pipe out = OM_TRY(Pipe::make());
  OM_TRY(set_nonblocking(out.read));
  const pid_t pid = OM_TRY(spawn(command, -1, out.write.get(), STDERR_FILENO, more_environment));
  out.write.reset();
  const MonotonicTime deadline = std::chrono::steady_clock::now() + limit;
  std::string text;
  bool whole = false;
  while (text.size() <= kMaxOutput) {
    pollfd item{out.read.get(), POLLIN, 0};
    const int ready = ::poll(&item, 1, milliseconds_until(deadline));
    if (ready == 0) break;
    std::array<char, 65536> buffer;
    const ssize_t n = ready < 0 ? -1 : ::read(out.read.get(), buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    whole = n == 0;
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  if (!whole) ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole || status != 0)
    return plain_error(
        fmt::format("{} {}", command.front(), !whole ? "gives no end, or too much" : "failed"));
  return text;
}

}  // namespace om::cli
