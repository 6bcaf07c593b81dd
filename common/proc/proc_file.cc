// SPDX-License-Identifier: Apache-2.0
#include "common/proc/proc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace om::proc {

std::string proc_path(pid_t pid, std::string_view name) {
  std::string path = "/proc/" + std::to_string(pid);
  if (!name.empty()) path.append("/").append(name);
  return path;
}

Result<UniqueFd> open_proc(pid_t pid, std::string_view name, int flags) {
  std::string path = proc_path(pid, name);
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd) return fd;
  // A missing file of a living process stays ENOENT (older kernel, option not compiled in).
  int err = errno;
  if (err == ENOENT && ::access(proc_path(pid, "").c_str(), F_OK) != 0) err = ESRCH;
  return Error{err, "open " + path};
}

Result<std::string> read_proc(pid_t pid, std::string_view name) {
  UniqueFd fd = OM_TRY(open_proc(pid, name, O_RDONLY));
  return read_text_of(fd.get(), proc_path(pid, name));
}

}  // namespace om::proc
