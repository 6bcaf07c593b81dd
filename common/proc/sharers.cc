// SPDX-License-Identifier: Apache-2.0
#include "common/proc/sharers.h"

#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "common/proc/process.h"

namespace om::proc {
namespace {

struct Key {
  ObjectId object;
  std::string text;  // "00:01 1054 ", as it stands in a maps line
};

// A name that contains the text of a key must not count, so the line is parsed before it does.
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

}  // namespace

void find_open_memfds(pid_t pid, const std::vector<ObjectId>& objects, std::vector<Sharer>& found) {
  Result<std::vector<FdEntry>> fds = list_fds(pid);
  if (!fds) return;
  for (const FdEntry& entry : *fds) {
    if (entry.target.compare(0, 7, "/memfd:") != 0) continue;
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
    find_open_memfds(other, objects, found);
  }
  return found;
}

Result<bool> same_address_space(pid_t a, pid_t b) {
  long order = ::syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
  if (order < 0) return errno_error("kcmp " + std::to_string(a) + " " + std::to_string(b));
  return order == 0;
}

Result<std::vector<pid_t>> find_address_space_sharers(pid_t pid) {
  // With itself first: a seccomp policy or a kernel without kcmp shows here and not as "nobody".
  OM_TRY(same_address_space(pid, pid));
  std::vector<pid_t> found;
  for (pid_t other : OM_TRY(list_processes())) {
    if (other == pid) continue;
    Result<bool> same = same_address_space(pid, other);
    if (same && *same) found.push_back(other);
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
