// SPDX-License-Identifier: Apache-2.0
#include "common/proc/namespaces.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iterator>
#include <string>

namespace om::proc {
namespace {

constexpr unsigned long kAll = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS |
                               CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
// A directory that every machine has, which what we mount can cover: a fresh one would have to be made somewhere.
constexpr const char* kCovered = "/proc";

}  // namespace

std::optional<Isolation> read_isolation(std::string_view word) {
  for (size_t i = 0; i < std::size(kIsolationNames); i++) {
    if (word == kIsolationNames[i]) return static_cast<Isolation>(i);
  }
  return std::nullopt;
}

const char* isolation_name(Isolation isolation) {
  return kIsolationNames[static_cast<size_t>(isolation)].data();
}

pid_t fork_apart() {
  return static_cast<pid_t>(::syscall(SYS_clone, kAll | SIGCHLD, nullptr, nullptr, nullptr, 0));
}

int leave_file_system() {
  // Nothing of this may reach the mounts of others.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("none", kCovered, "tmpfs", kFlags | MS_RDONLY, "size=4k,mode=0555") != 0)
    return errno;
  if (::chdir(kCovered) != 0) return errno;
  // The old root lies on top of the new one then, from where it is taken away.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;
  return ::chdir("/") != 0 ? errno : 0;
}

Result<void> try_namespaces() {
  const pid_t child = fork_apart();
  if (child < 0) return errno_error("make namespaces");
  if (child == 0) ::_exit(leave_file_system());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return errno_error("wait for a child in namespaces of its own");
  }
  if (!WIFEXITED(status)) return plain_error("a child in namespaces of its own was killed");
  if (WEXITSTATUS(status) != 0) return Error{WEXITSTATUS(status), "make an empty root"};
  return {};
}

}  // namespace om::proc
