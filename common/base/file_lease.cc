// SPDX-License-Identifier: Apache-2.0
#include "common/base/file_lease.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

namespace om {

Result<FileLease> FileLease::take(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info;
  if (!fd || ::fstat(fd.get(), &info) != 0) return errno_error("open " + path);
  if (!S_ISREG(info.st_mode)) return Error{EINVAL, path + " is no file"};
  // Set the signal first: the default, SIGIO, would end the process.
  if (::fcntl(fd.get(), F_SETSIG, SIGURG) != 0 || ::fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0)
    return errno_error("lease " + path);
  return FileLease(std::move(fd));
}

bool FileLease::is_wanted() const { return ::fcntl(fd_.get(), F_GETLEASE) != F_RDLCK; }

}  // namespace om
