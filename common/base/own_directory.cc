// SPDX-License-Identifier: Apache-2.0
#include "common/base/own_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "common/base/replace_file.h"
#include "common/base/text.h"

namespace om {
namespace {

Result<struct stat> look(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_error("look at " + path);
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return Error{EPERM, fmt::format("{} belongs to another user ({})", path, info.st_uid)};
  if ((info.st_mode & 022) != 0)
    return Error{EPERM, path + " may be written by other users (chmod go-w)"};
  return info;
}

Error cannot_open(const std::string& path) {
  const int err = errno;
  if (err == ELOOP) return Error{EPERM, path + " is a link"};
  return Error{err, "open " + path};
}

}  // namespace

std::pair<std::string, std::string> split_path(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Result<OwnDirectory> OwnDirectory::open_at(int at, const std::string& name, std::string path) {
  // With O_DIRECTORY alone, the error for a link would be that it is not a directory.
  struct stat info {};
  if (::fstatat(at, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
    return Error{EPERM, path + " is a link"};
  UniqueFd fd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return cannot_open(path);
  OM_TRY(look(fd.get(), path));
  return OwnDirectory(std::move(path), std::move(fd));
}

Result<OwnDirectory> OwnDirectory::open(const std::string& path) {
  std::string plain = path.empty() ? "." : path;
  // A trailing '/' would make open() follow a link.
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return open_at(AT_FDCWD, plain, plain);
}

Result<OwnDirectory> OwnDirectory::make(const std::string& path, mode_t mode) {
  std::vector<std::string> missing;
  for (std::string rest = path; !rest.empty() && rest != "." && rest != "/";) {
    if (::access(rest.c_str(), F_OK) == 0) break;
    missing.push_back(rest);
    rest = split_path(rest).first;
  }
  bool made = false;
  for (; !missing.empty(); missing.pop_back()) {
    const std::string& next = missing.back();
    made = ::mkdir(next.c_str(), mode) == 0;
    if (!made && errno != EEXIST) return errno_error("create " + next);
  }
  OwnDirectory own = OM_TRY(open(path));
  // Regardless of the umask.
  if (made && ::fchmod(own.fd(), mode) != 0) return errno_error("chmod " + path);
  return own;
}

Result<OwnDirectory> OwnDirectory::inside(const std::string& name) const {
  return open_at(fd_.get(), name, path_of(name));
}

Result<OwnDirectory> OwnDirectory::make_inside(const std::string& name, mode_t mode) const {
  if (::mkdirat(fd_.get(), name.c_str(), mode) != 0) return errno_error("create " + path_of(name));
  return inside(name);
}

Result<std::string> OwnDirectory::read(const std::string& name) const {
  return read_file(name, false);
}

Result<std::string> OwnDirectory::read_private(const std::string& name) const {
  return read_file(name, true);
}

Result<std::string> OwnDirectory::read_file(const std::string& name, bool is_private) const {
  const std::string path = path_of(name);
  // O_NONBLOCK: a FIFO may have no writer.
  UniqueFd fd(
      ::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return cannot_open(path);
  const struct stat info = OM_TRY(look(fd.get(), path));
  if (!S_ISREG(info.st_mode)) return Error{EPERM, path + " is no file"};
  if (is_private && (info.st_mode & 077) != 0)
    return Error{EPERM, path + " may be read by other users (chmod 600)"};
  // Opens the very file that has been checked.
  auto text = read_text(fmt::format("/proc/self/fd/{}", fd.get()));
  if (!text) return Error{text.error().err, "read " + path};
  return text;
}

Result<void> OwnDirectory::replace(const std::string& name, std::string_view text,
                                   mode_t mode) const {
  auto done = replace_file_at(fd_.get(), name, text, mode);
  if (!done) return Error{done.error().err, "write " + path_of(name)};
  return {};
}

Result<void> OwnDirectory::replace_lastingly(const std::string& name, std::string_view text,
                                             mode_t mode) const {
  auto done = replace_file_lastingly_at(fd_.get(), name, text, mode);
  if (!done) return Error{done.error().err, "write " + path_of(name)};
  return {};
}

Result<void> OwnDirectory::create(const std::string& name, std::string_view text,
                                  mode_t mode) const {
  auto done = create_file_at(fd_.get(), name, text, mode);
  if (!done) return Error{done.error().err, "create " + path_of(name)};
  return {};
}

Result<UniqueFd> OwnDirectory::append_to(const std::string& name, mode_t mode) const {
  UniqueFd fd(::openat(fd_.get(), name.c_str(),
                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, mode));
  if (!fd) return cannot_open(path_of(name));
  return fd;
}

bool OwnDirectory::has(const std::string& name) const {
  return ::faccessat(fd_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<void> OwnDirectory::remove(const std::string& name) const {
  // Goes through the open directory; below it remove_all follows no links.
  std::error_code error;
  std::filesystem::remove_all(fmt::format("/proc/self/fd/{}/{}", fd_.get(), name), error);
  if (error) return Error{error.value(), "remove " + path_of(name)};
  return {};
}

void OwnDirectory::remove_drafts(const std::string& name) const {
  std::error_code error;
  std::vector<std::string> found;
  for (auto& entry :
       std::filesystem::directory_iterator(fmt::format("/proc/self/fd/{}", fd_.get()), error)) {
    std::string file = entry.path().filename().string();
    if (is_draft_of(file, name)) found.push_back(std::move(file));
  }
  for (const std::string& file : found) ::unlinkat(fd_.get(), file.c_str(), 0);
}

Result<std::string> read_own_file(const std::string& path) {
  const auto [directory, name] = split_path(path);
  const OwnDirectory own = OM_TRY(OwnDirectory::open(directory));
  return own.read(name);
}

}  // namespace om
