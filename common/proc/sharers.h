// SPDX-License-Identifier: Apache-2.0
//
// Who else holds a process's memory (the same shared object mapped or open elsewhere, or the whole address space:
// vfork, CLONE_VM without CLONE_THREAD), and who else has its descriptors. All functions scan every process in /proc,
// so preflight calls them only if there is something to look for. They skip what the caller may not read: "nobody"
// means nobody that the caller can see.
#pragma once

#include <stdint.h>

#include <compare>
#include <string>
#include <vector>

#include "common/proc/maps.h"

namespace om::proc {

// A file or memory object, as maps identifies it.
struct ObjectId {
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  uint64_t inode = 0;

  auto operator<=>(const ObjectId&) const = default;
};

ObjectId object_of(const Mapping& map);

struct Sharer {
  ObjectId object;
  pid_t pid = 0;
  int fd = -1;  // the descriptor by which it holds the object, -1 if it maps it
};

// Processes other than `pid` that map one of `objects` (memfds, or files without a name) or have it open. At most one
// entry for each process and object.
Result<std::vector<Sharer>> find_sharers(pid_t pid, const std::vector<ObjectId>& objects);

// Appends the first descriptor of `pid` for each of `objects`; nothing if its descriptors cannot be read.
void find_open_objects(pid_t pid, const std::vector<ObjectId>& objects, std::vector<Sharer>& found);

// Whether a file of /dev/shm whose name in `map` has been removed has no other name, so that nobody can open it any
// more. Also false if that cannot be determined.
bool has_no_name(pid_t pid, const Mapping& map);

// Whether the two processes run in one address space. ENOSYS or EPERM where kcmp is missing or
// forbidden.
Result<bool> same_address_space(pid_t a, pid_t b);

// The same for their descriptor tables. An exiting task has none.
Result<bool> same_descriptors(pid_t a, pid_t b);

// Tasks that share something with a process, or threads that do not.
struct TaskSharers {
  std::vector<pid_t> memory;         // processes that run in its address space
  std::vector<pid_t> descriptors;    // that use its descriptor table, but not its address space
  std::vector<pid_t> threads_apart;  // its own threads that do not use it
};
// `pid`: a living thread of the process. ENOSYS or EPERM if kcmp cannot be used at all.
Result<TaskSharers> find_task_sharers(pid_t pid);

// Number of attachments of a SysV segment in this process's IPC namespace, by all processes, readable or not.
Result<uint64_t> sysv_attachments(uint64_t shmid);

}  // namespace om::proc
