// SPDX-License-Identifier: Apache-2.0
//
// A directory of our own: what lies in it was put there by us or by root, so it may be believed. Whoever reads state
// back (a cluster's files, the daemon's children, its configuration and peers) does it through here. The directory is
// opened once and everything in it is reached from there: one that is put in its place meanwhile is not used.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

class OwnDirectory {
 public:
  // EPERM, with the reason, unless it belongs to this user or to root, nobody else may write it and it is no link.
  static Result<OwnDirectory> open(const std::string& path);
  // The same, after having made what is missing of it, with this mode.
  static Result<OwnDirectory> make(const std::string& path, mode_t mode);

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

  // `name`: one component. A link is never followed.
  Result<OwnDirectory> inside(const std::string& name) const;
  Result<OwnDirectory> make_inside(const std::string& name, mode_t mode) const;
  // EPERM unless it is a file that this user or root owns and nobody else may write.
  Result<std::string> read(const std::string& name) const;
  Result<void> replace(const std::string& name, std::string_view text, mode_t mode) const;
  // To be written at its end; made with this mode.
  Result<UniqueFd> append_to(const std::string& name, mode_t mode) const;
  bool has(const std::string& name) const;
  // With everything in it. That it is not there is no failure.
  Result<void> remove(const std::string& name) const;
  // What replace() has left behind when it was killed.
  void remove_drafts(const std::string& name) const;

 private:
  OwnDirectory(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  static Result<OwnDirectory> open_at(int at, const std::string& name, std::string path);
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }

  std::string path_;
  UniqueFd fd_;
};

// A file in a directory of our own that is itself our own, as above.
Result<std::string> read_own_file(const std::string& path);

// "a/b" -> {"a", "b"}, "b" -> {".", "b"}, "/b" -> {"/", "b"}; '/' at the end is cut off.
std::pair<std::string, std::string> split_path(std::string path);

}  // namespace om
