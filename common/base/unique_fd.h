// SPDX-License-Identifier: Apache-2.0
//
// Owns one file descriptor in hosted code (daemons, command line, tests). Move-only, without conversion to int, so that
// a descriptor is closed exactly once. close() is never retried after EINTR (Linux has closed it by then). EBADF means
// that some code closed a descriptor that it did not own, which may already have hit an unrelated file, so the process
// aborts. This is the only file that calls close().
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <utility>

namespace om {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    UniqueFd old(std::exchange(fd_, other.release()));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  // The number, -1 if none. Ownership stays here.
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }

  // Gives up ownership: the caller closes it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  void reset(int fd = -1) {
    int old = std::exchange(fd_, fd);
    if (old >= 0 && ::close(old) != 0 && errno == EBADF) abort();
  }

  // For use between fork and exec, or in a signal handler: preserves errno.
  void close_signal_safe() {
    int saved = errno;
    reset();
    errno = saved;
  }

 private:
  int fd_ = -1;
};

}  // namespace om
