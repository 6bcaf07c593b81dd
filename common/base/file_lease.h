// SPDX-License-Identifier: Apache-2.0
//
// A read lease on a file (F_SETLEASE): who opens it for writing, or truncates it, waits in the kernel until the lease
// is given up, but not longer than /proc/sys/fs/lease-break-time (45 s). To be had for files of one's own, of most file
// systems, that nobody has open for writing.
//
// Who holds one asks now and then whether somebody waits: the kernel's signal is one that is ignored by default.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

class FileLease {
 public:
  // EAGAIN: somebody has it open for writing. EACCES: of another owner. EINVAL: not on this file system.
  static Result<FileLease> take(const std::string& path);

  // Somebody waits for it to be given up, or it has been taken away.
  bool is_wanted() const;

 private:
  explicit FileLease(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;  // closing it gives the lease up
};

}  // namespace om
