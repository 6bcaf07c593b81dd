// SPDX-License-Identifier: Apache-2.0
//
// The main thread has called pthread_exit, another goes on: to /proc the process looks like one that has ended.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <thread>

static pthread_t g_main;
static volatile sig_atomic_t g_signals = 0;

static void go_on() {
  OM_CHECK_EQ(pthread_join(g_main, nullptr), 0);
  const pid_t pid = getpid(), tid = gettid();
  OM_CHECK(pid != tid);
  std::string text(100000, 'a');
  om_test_ready();
  for (char& c : text) c = static_cast<char>(c + 1);
  om_test_wait_moved();
  OM_CHECK_EQ(getpid(), pid);
  OM_CHECK_EQ(gettid(), tid);
  OM_CHECK(text == std::string(100000, 'b'));
  OM_CHECK_EQ(kill(pid, SIGUSR1), 0);
  OM_CHECK_EQ(g_signals, 1);
  const int fd = open("made", O_CREAT | O_WRONLY, 0600);
  OM_CHECK_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  close(fd);
  std::thread one([pid] { OM_CHECK_EQ(getpid(), pid); });
  one.join();
  puts("done");
  exit(0);
}

int main() {
  g_main = pthread_self();
  signal(SIGUSR1, [](int) { g_signals = g_signals + 1; });
  std::thread(go_on).detach();
  pthread_exit(nullptr);
}
