// SPDX-License-Identifier: Apache-2.0
#include "common/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/unique_fd.h"

namespace om {
namespace {

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::string draft = path + ".new";
  const UniqueFd file(
      ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file.valid()) return errno_error("write " + path);
  Result<void> done = write_all(file.get(), text);
  if (done && ::rename(draft.c_str(), path.c_str()) != 0) done = errno_error("rename");
  if (done) return {};
  ::unlink(draft.c_str());
  return Error{done.error().err, "write " + path};
}

}  // namespace om
