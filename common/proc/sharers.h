// SPDX-License-Identifier: Apache-2.0
//
// Who else holds the memory of a process: the same shared object mapped or open elsewhere, or the
// whole address space (vfork, CLONE_VM without CLONE_THREAD); and who else its descriptors. All look
// at every process of /proc, so preflight asks only when there is something to look for. What the
// caller may not read is passed over: an answer "nobody" means nobody that the caller can see.
#pragma once

#include <stdint.h>

#include <compare>
#include <string>
#include <vector>

#include "common/proc/maps.h"

namespace om::proc {

// A file or memory object as maps names it.
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
  int fd = -1;  // the descriptor through which it holds the object, -1 if it maps it
};

// Processes other than `pid` that map one of `objects` (memfds, or files without a name) or have it open. At most one
// entry for a process and object.
Result<std::vector<Sharer>> find_sharers(pid_t pid, const std::vector<ObjectId>& objects);

// Adds the first descriptor of `pid` for each of `objects`. Nothing if its descriptors cannot be read.
void find_open_objects(pid_t pid, const std::vector<ObjectId>& objects, std::vector<Sharer>& found);

// Whether a file of /dev/shm whose name in `map` has gone has no other one: nobody can open it any more. False also if
// that cannot be found out.
bool has_no_name(pid_t pid, const Mapping& map);

// Whether the two processes run in one address space. ENOSYS or EPERM where kcmp is missing or
// forbidden.
Result<bool> same_address_space(pid_t a, pid_t b);

// The same for their descriptor tables. A task that is ending has none.
Result<bool> same_descriptors(pid_t a, pid_t b);

// Tasks that have, or have not, something in common with a process.
struct TaskSharers {
  std::vector<pid_t> memory;         // processes that run in its address space
  std::vector<pid_t> descriptors;    // that use its descriptor table, but not its address space
  std::vector<pid_t> threads_apart;  // its own threads that do not use it
};
// `pid`: a thread of the process that is alive. ENOSYS or EPERM if kcmp cannot be used at all.
Result<TaskSharers> find_task_sharers(pid_t pid);

// Attachments of a SysV segment in this process's IPC namespace, by all processes, readable or not.
Result<uint64_t> sysv_attachments(uint64_t shmid);

}  // namespace om::proc
