// SPDX-License-Identifier: Apache-2.0
//
// The part of preflight that finds out who else has, or may change, what the process has mapped: shared files, memory
// objects. What nobody else can touch moves.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <set>

#include "common/base/file_lease.h"
#include "common/movable/findings.h"
#include "common/movable/lazy_shared.h"
#include "common/proc/proc_file.h"
#include "common/proc/sharers.h"
#include "libom/abi/memory.h"
#include "libom/abi/shared_file.h"

namespace om {
namespace {

using proc::MapKind;
using proc::Mapping;
using proc::SmapsEntry;
using proc::Status;
using enum ReasonCode;

constexpr int kCapDacOverride = 1;
constexpr std::string_view kShmFolder = "/dev/shm/";

// Whether the memory can only be shared by having a mapping or a descriptor of it.
bool is_memory_object(const Mapping& map) {
  return map.kind == MapKind::kAnonShared || map.kind == MapKind::kMemFd ||
         map.kind == MapKind::kSysvShm || is_nameless_shm(map);
}

// Finds the file behind a mapping: by its path in the process's root if that is still the same file, else through
// map_files, which takes CAP_CHECKPOINT_RESTORE to follow.
bool stat_mapping(pid_t pid, const Mapping& map, std::string& path, struct stat& info) {
  path = proc::proc_path(pid, "root") + map.path;
  if (::stat(path.c_str(), &info) == 0 && info.st_ino == map.inode) {
    // On btrfs and overlayfs, stat() shows another device number than maps, both of major 0.
    bool same = major(info.st_dev) == map.dev_major && minor(info.st_dev) == map.dev_minor;
    if (same || (major(info.st_dev) == 0 && map.dev_major == 0)) return true;
  }
  char range[64];
  snprintf(range, sizeof range, "map_files/%lx-%lx", map.start, map.end);
  path = proc::proc_path(pid, range);
  return ::stat(path.c_str(), &info) == 0;
}

// Whether a thread with these ids may write to the file, now or after a chmod of its own.
bool could_change(const Status& who, const std::string& path, const struct stat& info) {
  const bool overrides = (who.cap_effective >> kCapDacOverride & 1) != 0;
  const bool list = ::getxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
  auto count = [](const auto& ids) { return static_cast<uint32_t>(ids.size()); };
  return may_change({who.uid.data(), count(who.uid), who.gid.data(), count(who.gid),
                     who.groups.data(), count(who.groups), overrides},
                    {info.st_uid, info.st_gid, info.st_mode, list});
}

bool open_for_writing(pid_t pid, const ProcessView& view, const struct stat& file) {
  for (const proc::FdEntry& fd : view.fds) {
    if (fd.target.empty() || fd.target[0] != '/') continue;
    struct stat info;
    if (::stat(proc::proc_path(pid, "fd/" + std::to_string(fd.fd)).c_str(), &info) != 0) continue;
    if (info.st_ino != file.st_ino || info.st_dev != file.st_dev) continue;
    Result<proc::FdInfo> state = proc::read_fdinfo(pid, fd.fd);
    if (state && (state->flags & O_ACCMODE) != O_RDONLY) return true;
  }
  return false;
}

// Checks a shared mapping that the process itself cannot write through. A file that others could change is leased while
// the process is away.
void check_shared_file(pid_t pid, const ProcessView& view, const SmapsEntry& entry, Findings& found,
                       std::vector<std::string>& to_lease) {
  const Mapping& map = entry.map;
  if (entry.flags.has("mw")) return found.add(kSharedFile, name_of(map) + ", opened for writing");
  std::string path;
  struct stat info;
  const bool system = is_below_system_folder(map.path.c_str());
  if (!stat_mapping(pid, map, path, info)) {
    if (!system) found.add(kSharedFile, name_of(map));
    return;
  }
  if (open_for_writing(pid, view, info))
    return found.add(kSharedFile, name_of(map) + ", opened for writing");
  struct statvfs mount;
  bool read_only = ::statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0;
  if (system || read_only || !could_change(view.threads.front(), path, info)) return;
  if (std::find(to_lease.begin(), to_lease.end(), path) != to_lease.end()) return;
  // Take a lease and give it up again: shows that nobody has the file open for writing and that the file system has
  // leases.
  const auto lease = info.st_uid == view.threads.front().uid[1] && !map.deleted
                         ? FileLease::take(path)
                         : Result<FileLease>(Error{EACCES, "not to be had"});
  if (lease) return to_lease.push_back(path);
  const bool written = lease.error().err == EAGAIN;
  found.add(kSharedFile, name_of(map) + (written ? ", which somebody has open for writing" : ""));
}

// Whether others have the segment attached: shmctl counts all attachments, maps shows the process's own.
bool attached_elsewhere(pid_t pid, const ProcessView& view, const Mapping& map) {
  Result<std::string> ours = read_link("/proc/self/ns/ipc");
  Result<std::string> theirs = read_link(proc::proc_path(pid, "ns/ipc"));
  if (!ours || !theirs || *ours != *theirs) return false;
  Result<uint64_t> attached = proc::sysv_attachments(map.inode);
  auto own = std::count_if(view.maps.begin(), view.maps.end(), [&](const SmapsEntry& entry) {
    return entry.map.kind == MapKind::kSysvShm && entry.map.inode == map.inode;
  });
  return attached && *attached > static_cast<uint64_t>(own);
}

// Whether the object is sealed against writing through its descriptor, so that it could not be brought home that way.
bool is_sealed(pid_t pid, int fd) {
  UniqueFd opened(
      ::open(proc::proc_path(pid, "fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC));
  const int seals = opened ? ::fcntl(opened.get(), F_GET_SEALS) : -1;
  return seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
}

enum class Views { kOne, kMany, kSealed, kPrivate };

// Whether the process itself sees the same bytes in a second way, which must show what it stores while away: through a
// descriptor of the memory object, or another mapping of the same part. Away, a private mapping would be a copy:
// mmap(2) does not say whether it shows later stores, but in programs that use a memfd it does.
Views count_views(pid_t pid, const ProcessView& view, const Mapping& map, bool& is_open) {
  std::vector<proc::Sharer> own;
  proc::find_open_objects(pid, {proc::object_of(map)}, own);
  is_open = !own.empty();
  const bool also_private =
      std::any_of(view.maps.begin(), view.maps.end(), [&](const SmapsEntry& entry) {
        return !entry.map.shared && proc::object_of(entry.map) == proc::object_of(map);
      });
  if (also_private) return Views::kPrivate;
  if (is_open) return is_sealed(pid, own.front().fd) ? Views::kSealed : Views::kMany;
  const uint64_t end = map.offset + (map.end - map.start);
  for (const SmapsEntry& entry : view.maps) {
    const Mapping& other = entry.map;
    if (!other.shared || other.start == map.start) continue;
    if (proc::object_of(other) != proc::object_of(map)) continue;
    if (other.offset < end && map.offset < other.offset + (other.end - other.start))
      return Views::kMany;
  }
  return Views::kOne;
}

void add_object(pid_t pid, const ProcessView& view, const Mapping& map, Findings& found,
                ProcessReport& report) {
  bool is_open = false;
  const Views views = count_views(pid, view, map, is_open);
  if (views == Views::kSealed)
    return found.add(kSharedWritable, std::string(to_string(map.kind)) + ", open and sealed");
  if (views == Views::kPrivate)
    return found.add(kSharedWritable, std::string(to_string(map.kind)) + ", mapped privately, too");
  if (views == Views::kOne) return report.lone_shared.push_back(map);
  const bool known = std::any_of(report.objects.begin(), report.objects.end(),
                                 [&](const auto& o) { return o.id == proc::object_of(map); });
  if (known) return;
  if (report.objects.size() == kMaxMemoryObjects)
    return found.add(kSharedWritable, "too many " + std::string(to_string(map.kind)) + " objects");
  report.objects.push_back({proc::object_of(map), is_open});
}

void check_lazy(const ProcessView& view, Findings& found, ProcessReport& report) {
  uint64_t bytes = 0;
  const auto patterns = lazy_shared_patterns();
  for (const SmapsEntry& entry : view.maps) {
    if (!is_lazy_shared(entry.map, patterns)) continue;
    report.lazy_shared.push_back(entry.map);
    bytes += entry.map.size();
    if (bytes > kMaxLazyBytes)
      found.add(kSharedWritable, name_of(entry.map) + ", too large to be written back");
  }
}

}  // namespace

std::string name_of(const Mapping& map) {
  std::string name = map.path.empty() ? std::string(to_string(map.kind)) : map.path;
  return map.deleted ? name + " (deleted)" : name;
}

bool is_nameless_shm(const Mapping& map) {
  return map.kind == MapKind::kFile && map.deleted && map.path.starts_with(kShmFolder);
}

void check_sharing(pid_t pid, const ProcessView& view, Findings& found, ProcessReport& report) {
  check_lazy(view, found, report);
  std::set<proc::ObjectId> objects;
  for (const SmapsEntry& entry : view.maps) {
    const Mapping& map = entry.map;
    if (!map.shared || entry.flags.has("ht")) continue;
    if (is_memory_object(map)) objects.insert(proc::object_of(map));
    if (map.kind == MapKind::kFile && (map.prot & PROT_WRITE) == 0 && !is_nameless_shm(map))
      check_shared_file(pid, view, entry, found, report.to_lease);
  }
  if (objects.empty()) return;
  Result<std::vector<proc::Sharer>> sharers =
      proc::find_sharers(pid, {objects.begin(), objects.end()});
  for (const SmapsEntry& entry : view.maps) {
    const Mapping& map = entry.map;
    if (!map.shared || !is_memory_object(map) || entry.flags.has("ht")) continue;
    if (!sharers || (is_nameless_shm(map) && !proc::has_no_name(pid, map))) {
      found.add(kSharedWritable, name_of(map));
      continue;
    }
    auto other = std::find_if(sharers->begin(), sharers->end(), [&](const proc::Sharer& sharer) {
      return sharer.object == proc::object_of(map);
    });
    if (other != sharers->end()) {
      std::string verb = other->fd < 0 ? ", mapped by process " : ", open in process ";
      found.add(kSharedWritable,
                std::string(to_string(map.kind)) + verb + std::to_string(other->pid));
    } else if (map.kind == MapKind::kSysvShm && attached_elsewhere(pid, view, map)) {
      found.add(kSharedWritable,
                std::string(to_string(map.kind)) + ", attached by another process");
    } else {
      add_object(pid, view, map, found, report);
    }
  }
}

}  // namespace om
