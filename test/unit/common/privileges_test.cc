// SPDX-License-Identifier: Apache-2.0
//
// common/proc/privileges.h: who has root's privileges. Processes of each kind are children of the test.
#include "common/proc/privileges.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>

namespace om {
namespace {

constexpr uid_t kNobody = 65534;

TEST_CASE("each user id counts, ids of ordinary users do not") {
  for (size_t i = 0; i < 4; ++i) {
    proc::Status thread;
    thread.uid = {1000, 1000, 1000, 1000};
    CHECK(root_privileges(thread, true).empty());
    thread.uid[i] = 0;
    CHECK_FALSE(root_privileges(thread, true).empty());
    CHECK_FALSE(root_privileges(thread, false).empty());
  }
}

TEST_CASE("capabilities count where they are worth something") {
  proc::Status thread;
  thread.uid = {1000, 1000, 1000, 1000};
  thread.cap_permitted = uint64_t{1} << CAP_NET_RAW;
  CHECK(root_privileges(thread, true) == "capabilities 0000000000002000");
  CHECK(root_privileges(thread, false).empty());
  std::swap(thread.cap_permitted, thread.cap_effective);
  CHECK_FALSE(root_privileges(thread, true).empty());
  // Those that a login session has.
  thread.cap_permitted = thread.cap_effective = uint64_t{1} << CAP_WAKE_ALARM;
  CHECK(root_privileges(thread, true).empty());
}

TEST_CASE("a namespace is root's if root's id is in its map") {
  CHECK(maps_root("         0          0 4294967295\n"));
  CHECK(maps_root("         0       1000          1\n      1000          0          1\n"));
  CHECK_FALSE(maps_root("         0       1000          1\n"));
  CHECK_FALSE(maps_root("         0     100000      65536\n     65536 4294967295          1\n"));
  CHECK_FALSE(maps_root(""));  // no ids yet: no rights either
  for (const char* text : {"\n", "0\n", "0 x 1\n", "0 -1 1\n", "0 1000 1\nx"}) {
    CAPTURE(text);
    CHECK(maps_root(text));
  }
}

bool write_file(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool done = fd >= 0 && write(fd, text.data(), text.size()) == ssize_t(text.size());
  close(fd);
  return done;
}

// What is found for a process after `step`; "not here" if the step fails.
std::string found_after(const std::function<bool()>& step) {
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char done = step() ? 1 : 0;
    prctl(PR_SET_DUMPABLE, 1);  // changing ids clears it
    if (write(ready[1], &done, 1) == 1) pause();
    _exit(1);
  }
  close(ready[1]);
  char done = 0;
  CHECK(read(ready[0], &done, 1) == 1);
  close(ready[0]);
  const std::string found = done != 0 ? root_privileges(pid) : "not here";
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return found;
}

bool become_nobody() { return geteuid() != 0 || setresuid(kNobody, kNobody, kNobody) == 0; }

// Enters a user namespace to which another process of root's gives this map, as user 0 there.
bool enter_namespace(const char* map) {
  int begin[2];
  if (pipe(begin) != 0) return false;
  const std::string path = "/proc/" + std::to_string(getpid()) + "/uid_map";
  const pid_t mapper = fork();
  if (mapper == 0) {
    char c = 0;
    _exit(read(begin[0], &c, 1) == 1 && write_file(path.c_str(), map) ? 0 : 1);
  }
  int status = 1;
  const bool apart = unshare(CLONE_NEWUSER) == 0;
  return write(begin[1], apart ? "y" : "", apart ? 1 : 0) == 1 && close(begin[1]) == 0 &&
         waitpid(mapper, &status, 0) == mapper && status == 0 && setresuid(0, 0, 0) == 0;
}

TEST_CASE("an ordinary user's process, in a user namespace of its own, too") {
  CHECK(found_after(become_nobody).empty());
  const std::string found = found_after([] {
    if (!become_nobody() || prctl(PR_SET_DUMPABLE, 1) != 0) return false;
    const std::string id = std::to_string(geteuid());
    return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/uid_map", "0 " + id + " 1") &&
           getuid() == 0;
  });
  if (found == "not here") MESSAGE("an ordinary user gets no user namespace here");
  CHECK((found.empty() || found == "not here"));
}

TEST_CASE("root's processes" * doctest::skip(geteuid() != 0)) {
  const std::string by_id = "one of its user ids is 0";
  CHECK(found_after([] { return true; }) == by_id);
  // Has given up its rights temporarily.
  CHECK(found_after([] { return setresuid(kNobody, kNobody, 0) == 0; }) == by_id);
  const std::string kept = found_after(
      [] { return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(kNobody, kNobody, kNobody) == 0; });
  CHECK(kept.starts_with("capabilities "));
  // One thread is enough; glibc's function would change all.
  CHECK(found_after([] {
          (new std::thread([] {
            for (;;) pause();
          }))->detach();
          return syscall(SYS_setresuid, kNobody, kNobody, kNobody) == 0;
        }) == by_id);
}

TEST_CASE("user namespaces that root has made" * doctest::skip(geteuid() != 0)) {
  // The map includes root's id, though another is used.
  const std::string with_root = found_after([] { return enter_namespace("0 1000 9\n9 0 1\n"); });
  if (with_root == "not here") MESSAGE("root gets no user namespace here");
  CHECK((with_root.starts_with("capabilities ") || with_root == "not here"));
  const std::string without = found_after([] { return enter_namespace("0 1000 9\n"); });
  CHECK((without.empty() || without == "not here"));
}

}  // namespace
}  // namespace om
