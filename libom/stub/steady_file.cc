// SPDX-License-Identifier: Apache-2.0
//
// A file that the program wants to map shared while it is away: its copy in the body stays right if the file is steady,
// by the rule of libom/abi/shared_file.h. The result is the same as that of common/movable/preflight.cc at a departure.
#include "libom/stub/steady_file.h"

#include "libom/abi/kernel.h"
#include "libom/abi/shared_file.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/descriptor.h"
#include "libom/stub/functions.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::sys;

constexpr uint32_t kFGetfl = 3, kOAccmode = 3, kORdonly = 0;
constexpr uint32_t kSifmt = 0170000, kSifreg = 0100000;
constexpr uint64_t kMaxDescriptors = 65536;
constexpr uint32_t kMaxGroups = 256;

// The kernel's struct stat.
struct Stat {
  uint64_t dev, ino, nlink;
  uint32_t mode, uid, gid, pad;
  uint64_t more[14];
};

long access_of(uint64_t fd) {
  const long flags = sys(kNr_fcntl, fd, kFGetfl);
  return flags < 0 ? flags : flags & kOAccmode;
}

// Whether the process has another descriptor through which it can write to the file.
bool is_open_for_writing(const Stat& file) {
  constexpr uint32_t kRlimitNofile = 7;
  uint64_t limit[2] = {kMaxDescriptors, 0};
  sys(kNr_prlimit64, 0, kRlimitNofile, 0, limit);
  const uint64_t end = limit[1] < kMaxDescriptors ? limit[1] : kMaxDescriptors;
  for (uint64_t fd = 0; fd < end; fd++) {
    if (is_ours(fd)) continue;
    const long how = access_of(fd);
    if (how < 0 || how == kORdonly) continue;
    Stat other;
    if (sys(kNr_fstat, fd, &other) == 0 && other.dev == file.dev && other.ino == file.ino)
      return true;
  }
  return false;
}

bool overrides_rights() {
  constexpr uint32_t kVersion3 = 0x20080522, kDacOverride = 1;
  struct {
    uint32_t version;
    int32_t pid;
  } head{kVersion3, 0};
  uint32_t sets[6] = {};
  return sys(kNr_capget, &head, sets) != 0 || (sets[0] >> kDacOverride & 1) != 0;
}

bool could_be_changed(uint64_t fd, const Stat& file) {
  uint32_t uids[3], gids[3], groups[kMaxGroups];
  const long count = sys(kNr_getgroups, kMaxGroups, groups);
  if (count < 0 || sys(kNr_getresuid, &uids[0], &uids[1], &uids[2]) != 0 ||
      sys(kNr_getresgid, &gids[0], &gids[1], &gids[2]) != 0)
    return true;
  const long list = sys(kNr_fgetxattr, fd, "system.posix_acl_access", 0, 0);
  const FileUser who{uids, 3, gids, 3, groups, static_cast<uint32_t>(count), overrides_rights()};
  return may_change(who, {file.uid, file.gid, file.mode, list > 0});
}

}  // namespace

// Context: exec
bool is_steady_file(uint64_t fd) {
  constexpr uint64_t kReadOnlyMount = 1;
  Stat file;
  if (is_ours(fd) || access_of(fd) != kORdonly || sys(kNr_fstat, fd, &file) != 0 ||
      (file.mode & kSifmt) != kSifreg || is_open_for_writing(file))
    return false;
  char path[512];
  if (link_of(fd, path, sizeof path) > 0 && is_below_system_folder(path)) return true;
  uint64_t mount[15] = {};
  if (sys(kNr_fstatfs, fd, mount) == 0 && (mount[10] & kReadOnlyMount) != 0) return true;
  return !could_be_changed(fd, file);
}

}  // namespace om::stub
