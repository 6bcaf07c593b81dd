// SPDX-License-Identifier: Apache-2.0
#include "cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/unique_fd.h"

namespace om::cli {
namespace {

constexpr size_t kMaxSecret = 1024;

Result<std::string> read_line(int fd) {
  std::string line;
  for (char c = 0;;) {
    const ssize_t count = ::read(fd, &c, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("read");
    if (count == 0 || c == '\n') break;
    if (line.size() == kMaxSecret) return plain_error("it is too long");
    line += c;
  }
  if (line.empty()) return plain_error("nothing was given");
  return line;
}

// No echo while it lives. Ctrl-C waits until then, or the terminal would stay silent.
class Silence {
 public:
  explicit Silence(int fd) : fd_(fd), silent_(::tcgetattr(fd, &before_) == 0) {
    if (!silent_) return;
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    ::tcsetattr(fd_, TCSAFLUSH, &now);
  }
  ~Silence() {
    if (silent_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  int fd_;
  termios before_{};
  bool silent_;
};

Result<std::string> ask(int terminal, const std::string& prompt) {
  const std::string text = prompt + ": ";
  if (::write(terminal, text.data(), text.size()) < 0) return errno_error("write to the terminal");
  auto line = [&] {
    const Silence silence(terminal);
    return read_line(terminal);
  }();
  static_cast<void>(!::write(terminal, "\n", 1));
  // With ISIG off Ctrl-C is a character.
  if (line && line->find('\x03') != line->npos) return plain_error("interrupted");
  return line;
}

}  // namespace

Result<std::string> read_secret(const std::string& prompt, bool twice) {
  if (::isatty(STDIN_FILENO) == 0) return read_stdin_line();
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) return errno_error("open the terminal");
  std::string secret = OM_TRY(ask(terminal.get(), prompt));
  if (twice && OM_TRY(ask(terminal.get(), prompt + " again")) != secret)
    return plain_error("the two are not the same");
  return secret;
}

Result<std::string> read_stdin_line() { return read_line(STDIN_FILENO); }

}  // namespace om::cli
