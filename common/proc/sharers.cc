// SPDX-License-Identifier: Apache-2.0
#include "common/proc/sharers.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::proc {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr size_t kMaxNames = 10000;

struct Key {
  ObjectId object;
  std::string text;  // "00:01 1054 ", as in a maps line
};

// A file name may contain the text of a key, so a line counts only after it has been parsed.
bool maps_object(const std::string& maps, const Key& key) {
  for (size_t at = maps.find(key.text); at != std::string::npos; at = maps.find(key.text, at + 1)) {
    size_t begin = maps.rfind('\n', at);
    begin = begin == std::string::npos ? 0 : begin + 1;
    Result<Mapping> map =
        parse_maps_line(std::string_view(maps).substr(begin, maps.find('\n', at) - begin));
    if (map && object_of(*map) == key.object) return true;
  }
  return false;
}

// Whether `folder` can be searched completely and no file below it has this inode.
bool lacks_inode(const std::string& folder, uint64_t inode, size_t& names) {
  DIR* directory = ::opendir(folder.c_str());
  if (directory == nullptr) return false;
  bool lacks = true;
  errno = 0;
  while (const dirent* entry = lacks ? ::readdir(directory) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const bool is_folder = entry->d_type == DT_DIR;
    lacks = entry->d_ino != inode && ++names <= kMaxNames && entry->d_type != DT_UNKNOWN &&
            (!is_folder || lacks_inode(folder + "/" + entry->d_name, inode, names));
    errno = 0;
  }
  if (errno != 0) lacks = false;
  ::closedir(directory);
  return lacks;
}

// Whether the mount at `point` shows the whole file system of that device.
bool shows_all(pid_t pid, std::string_view point, const ObjectId& object) {
  Result<std::string> text = read_proc(pid, "mountinfo");
  if (!text) return false;
  char device[32];
  snprintf(device, sizeof device, "%u:%u", object.dev_major, object.dev_minor);
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    take_field(line);  // the mount's id, and its parent's
    take_field(line);
    if (take_field(line) == device && take_field(line) == "/" && take_field(line) == point)
      return true;
  }
  return false;
}

}  // namespace

bool has_no_name(pid_t pid, const Mapping& map) {
  constexpr std::string_view kShm = "/dev/shm";
  if (!shows_all(pid, kShm, object_of(map))) return false;
  const std::string folder = proc_path(pid, "root") + std::string(kShm);
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0 || major(info.st_dev) != map.dev_major ||
      minor(info.st_dev) != map.dev_minor)
    return false;
  size_t names = 0;
  return lacks_inode(folder, map.inode, names);
}

void find_open_objects(pid_t pid, const std::vector<ObjectId>& objects,
                       std::vector<Sharer>& found) {
  Result<std::vector<FdEntry>> fds = list_fds(pid);
  if (!fds) return;
  for (const FdEntry& entry : *fds) {
    // Only objects that have lost their name, or never had one.
    if (!entry.target.ends_with(kDeleted)) continue;
    struct stat st;
    if (::stat(proc_path(pid, "fd/" + std::to_string(entry.fd)).c_str(), &st) != 0) continue;
    ObjectId id{major(st.st_dev), minor(st.st_dev), st.st_ino};
    bool known = std::any_of(found.begin(), found.end(), [&](const Sharer& other) {
      return other.pid == pid && other.object == id;
    });
    if (!known && std::find(objects.begin(), objects.end(), id) != objects.end()) {
      found.push_back(Sharer{id, pid, entry.fd});
    }
  }
}

ObjectId object_of(const Mapping& map) { return ObjectId{map.dev_major, map.dev_minor, map.inode}; }

Result<std::vector<Sharer>> find_sharers(pid_t pid, const std::vector<ObjectId>& objects) {
  std::vector<Key> keys;
  for (const ObjectId& object : objects) {
    char text[64];
    snprintf(text, sizeof text, "%02x:%02x %lu ", object.dev_major, object.dev_minor, object.inode);
    keys.push_back(Key{object, text});
  }
  std::vector<Sharer> found;
  for (pid_t other : OM_TRY(list_processes())) {
    if (other == pid) continue;
    Result<std::string> maps = read_proc(other, "maps");
    if (!maps || maps->empty()) continue;
    for (const Key& key : keys) {
      if (maps_object(*maps, key)) found.push_back(Sharer{key.object, other, -1});
    }
    find_open_objects(other, objects, found);
  }
  return found;
}

namespace {

Result<bool> same(pid_t a, pid_t b, int what) {
  long order = ::syscall(SYS_kcmp, a, b, what, 0, 0);
  if (order < 0) return errno_error("kcmp " + std::to_string(a) + " " + std::to_string(b));
  return order == 0;
}

}  // namespace

Result<bool> same_address_space(pid_t a, pid_t b) { return same(a, b, KCMP_VM); }

Result<bool> same_descriptors(pid_t a, pid_t b) { return same(a, b, KCMP_FILES); }

Result<TaskSharers> find_task_sharers(pid_t pid) {
  // Compare it with itself first: a seccomp policy or a kernel without kcmp shows here, and not as "nobody".
  OM_TRY(same_address_space(pid, pid));
  TaskSharers found;
  for (pid_t other : OM_TRY(list_processes())) {
    if (other == pid) continue;
    Result<bool> memory = same_address_space(pid, other);
    if (!memory) continue;
    if (*memory) {
      found.memory.push_back(other);
    } else if (same_descriptors(pid, other).value_or(false)) {
      found.descriptors.push_back(other);
    }
  }
  for (pid_t thread : OM_TRY(list_tasks(pid))) {
    if (same_descriptors(pid, thread).value_or(true)) continue;
    constexpr uint64_t kPfExiting = 0x4;  // it has already released its table
    Result<Stat> stat = read_stat(thread);
    if (stat && (stat->flags & kPfExiting) == 0) found.threads_apart.push_back(thread);
  }
  return found;
}

Result<uint64_t> sysv_attachments(uint64_t shmid) {
  if (shmid > INT_MAX) return Error{EINVAL, "shmctl"};
  shmid_ds info;
  if (::shmctl(static_cast<int>(shmid), IPC_STAT, &info) != 0) return errno_error("shmctl");
  return uint64_t{info.shm_nattch};
}

}  // namespace om::proc
