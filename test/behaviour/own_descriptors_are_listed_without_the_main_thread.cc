// SPDX-License-Identifier: Apache-2.0
//
// A program whose main thread has ended finds its own descriptors in /proc/thread-self/fd, and under the number of
// a thread, and no others.
// om-points: moves
#include "test/lib/om_test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <set>
#include <string>

static std::set<int> listed(const std::string& path) {
  std::set<int> found;
  DIR* directory = opendir(path.c_str());
  OM_CHECK(directory != nullptr);
  const int own = dirfd(directory);
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != own) found.insert(atoi(entry->d_name));
  }
  closedir(directory);
  return found;
}

static void* run(void* main_thread) {
  pthread_join(*static_cast<pthread_t*>(main_thread), nullptr);
  const std::set<int> want{0, 1, 2, 600};
  const std::string by_number = "/proc/" + std::to_string(syscall(SYS_gettid));
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    om_test_ready();
    om_test_wait_moved();
    OM_CHECK(listed("/proc/thread-self/fd") == want);
    OM_CHECK(listed(by_number + "/fd") == want);
    OM_CHECK(listed(by_number + "/task/" + std::to_string(syscall(SYS_gettid)) + "/fdinfo") ==
             want);
  }
  exit(0);
}

int main() {
  OM_SYS(dup2(0, 600));
  static pthread_t s_main = pthread_self();
  pthread_t other;
  if (pthread_create(&other, nullptr, run, &s_main) != 0) om_test_skip("cannot make a thread");
  pthread_exit(nullptr);
}
