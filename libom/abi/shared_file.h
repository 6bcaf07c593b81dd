// SPDX-License-Identifier: Apache-2.0
//
// Whether a shared mapping of a file may be a copy on another node: only if the process can neither write through it
// nor change the file: what only others can change belongs to the system. The same rule serves mappings that exist
// when the process leaves (common/movable/preflight.cc) and mappings made while it is away
// (libom/stub/steady_file.cc).
#pragma once

#include <stdint.h>

namespace om {

struct FileRights {
  uint32_t uid, gid;
  uint32_t mode;
  bool access_list;  // has an ACL: somebody named there may write if the group may
};

// Ids of all kinds: real, effective, saved, file system.
struct FileUser {
  const uint32_t* uids;
  uint32_t uid_count;
  const uint32_t* gids;
  uint32_t gid_count;
  const uint32_t* groups;
  uint32_t group_count;
  bool overrides;  // CAP_DAC_OVERRIDE
};

constexpr bool is_among(uint32_t id, const uint32_t* ids, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (ids[i] == id) return true;
  }
  return false;
}

// Whether the user can write to the file, now or after a chmod of its own.
constexpr bool may_change(const FileUser& who, const FileRights& file) {
  constexpr uint32_t kGroupWrites = 020, kOthersWrite = 002;
  if (who.overrides || is_among(file.uid, who.uids, who.uid_count)) return true;
  if ((file.mode & kOthersWrite) != 0) return true;
  if ((file.mode & kGroupWrites) == 0) return false;
  return file.access_list || is_among(file.gid, who.gids, who.gid_count) ||
         is_among(file.gid, who.groups, who.group_count);
}

// Whether the path is below a folder whose files only package installation changes.
constexpr bool is_below_system_folder(const char* path) {
  constexpr const char* kFolders[] = {"/usr/",    "/lib/", "/lib32/", "/lib64/",
                                      "/libx32/", "/bin/", "/sbin/"};
  for (const char* folder : kFolders) {
    uint32_t i = 0;
    while (folder[i] != 0 && path[i] == folder[i]) i++;
    if (folder[i] == 0) return true;
  }
  return false;
}

}  // namespace om
