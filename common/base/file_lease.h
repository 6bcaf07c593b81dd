// SPDX-License-Identifier: Apache-2.0
//
// A read lease on a file (F_SETLEASE): anyone who opens the file for writing, or truncates it, waits in the kernel
// until the lease is given up, but at most /proc/sys/fs/lease-break-time (45 s). A user can lease only files of their
// own, that nobody has open for writing, on most file systems.
//
// The holder must poll for waiters: the kernel's notification is set to a signal that is ignored by default.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

class FileLease {
 public:
  // EAGAIN: somebody has it open for writing. EACCES: somebody else owns it. EINVAL: the file system has no leases.
  static Result<FileLease> take(const std::string& path);

  // Whether somebody waits for it to be given up, or the kernel has taken it away.
  bool is_wanted() const;

 private:
  explicit FileLease(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // closing it gives the lease up
};

}  // namespace om
