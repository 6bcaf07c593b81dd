// SPDX-License-Identifier: Apache-2.0
#include "common/base/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>

#include "common/base/hex.h"
#include "common/base/unique_fd.h"

namespace om {
namespace {

constexpr std::string_view kDraft = ".new-";
constexpr size_t kRandomBytes = 8;

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<std::string> draft_name(const std::string& name) {
  std::array<char, kRandomBytes> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return errno_error("getrandom");
  return name + std::string(kDraft) + to_hex(std::string_view(random.data(), random.size()));
}

int open_draft(int at, const std::string& draft, mode_t mode) {
  return ::openat(at, draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
}

// `lasting`: the contents are on the disk before they have the name.
Result<void> replace(int at, const std::string& name, std::string_view text, mode_t mode,
                     bool lasting) {
  const std::string draft = OM_TRY(draft_name(name));
  const UniqueFd file(open_draft(at, draft, mode));
  if (!file.valid()) return errno_error("write " + name);
  Result<void> done = write_all(file.get(), text);
  if (done && lasting && ::fsync(file.get()) != 0) done = errno_error("fsync");
  if (done && ::renameat(at, draft.c_str(), at, name.c_str()) != 0) done = errno_error("rename");
  if (done) return {};
  ::unlinkat(at, draft.c_str(), 0);
  return Error{done.error().err, "write " + name};
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode) {
  return replace_file_at(AT_FDCWD, path, text, mode);
}

Result<void> replace_file_at(int at, const std::string& name, std::string_view text, mode_t mode) {
  return replace(at, name, text, mode, false);
}

Result<void> replace_file_lastingly_at(int at, const std::string& name, std::string_view text,
                                       mode_t mode) {
  OM_TRY(replace(at, name, text, mode, true));
  if (at != AT_FDCWD && ::fsync(at) != 0) return errno_error("write " + name);
  return {};
}

Result<void> create_file_at(int at, const std::string& name, std::string_view text, mode_t mode) {
  const std::string draft = OM_TRY(draft_name(name));
  const UniqueFd file(open_draft(at, draft, mode));
  if (!file.valid()) return errno_error("create " + name);
  Result<void> done = write_all(file.get(), text);
  if (done && ::fsync(file.get()) != 0) done = errno_error("fsync");
  // Unlike a rename, a link replaces nothing.
  if (done && ::linkat(at, draft.c_str(), at, name.c_str(), 0) != 0) done = errno_error("link");
  ::unlinkat(at, draft.c_str(), 0);
  if (!done) return Error{done.error().err, "create " + name};
  if (at != AT_FDCWD && ::fsync(at) != 0) return errno_error("create " + name);
  return {};
}

bool is_draft_of(std::string_view file, std::string_view name) {
  if (!file.starts_with(name)) return false;
  file.remove_prefix(name.size());
  if (!file.starts_with(kDraft)) return false;
  return from_hex(file.substr(kDraft.size()), kRandomBytes).ok();
}

}  // namespace om
