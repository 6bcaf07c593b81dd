// SPDX-License-Identifier: Apache-2.0
//
// A directory that only we or root can have put anything into, so its contents can be trusted. All code that reads
// state back (a cluster's files, the daemon's children, its configuration and peers) goes through here. The directory
// is opened once and everything in it is reached through that descriptor: a directory that later replaces it is never
// used.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

class OwnDirectory {
 public:
  // EPERM, with the reason, unless this user or root owns it, nobody else may write to it, and it is not a symbolic
  // link.
  static Result<OwnDirectory> open(const std::string& path);
  // The same, but first creates what is missing of the path, with this mode.
  static Result<OwnDirectory> make(const std::string& path, mode_t mode);

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

  // `name`: one component. Never follows a link.
  Result<OwnDirectory> inside(const std::string& name) const;
  Result<OwnDirectory> make_inside(const std::string& name, mode_t mode) const;
  // EPERM unless it is a file that this user or root owns and nobody else may write to.
  Result<std::string> read(const std::string& name) const;
  // The same, and EPERM if other users may read it: for keys.
  Result<std::string> read_private(const std::string& name) const;
  Result<void> replace(const std::string& name, std::string_view text, mode_t mode) const;
  // The same; on return it is on the disk, to survive a loss of power.
  Result<void> replace_lastingly(const std::string& name, std::string_view text, mode_t mode) const;
  // EEXIST if there is one already. On return it is on the disk, to survive a loss of power.
  Result<void> create(const std::string& name, std::string_view text, mode_t mode) const;
  // Opens for appending; creates with this mode.
  Result<UniqueFd> append_to(const std::string& name, mode_t mode) const;
  bool has(const std::string& name) const;
  // Removes `name` with everything in it. A missing one is not an error.
  Result<void> remove(const std::string& name) const;
  // Removes what a killed replace() left behind.
  void remove_drafts(const std::string& name) const;

 private:
  OwnDirectory(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  Result<std::string> read_file(const std::string& name, bool is_private) const;
  static Result<OwnDirectory> open_at(int at, const std::string& name, std::string path);
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }

  std::string path_;
  UniqueFd fd_;
};

// Reads a file that is our own, in a directory that is our own, as above.
Result<std::string> read_own_file(const std::string& path);

// "a/b" -> {"a", "b"}, "b" -> {".", "b"}, "/b" -> {"/", "b"}; a trailing '/' is dropped.
std::pair<std::string, std::string> split_path(std::string path);

}  // namespace om
