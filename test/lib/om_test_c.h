/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's side of the test protocol (test/lib/om_test.cc) for behaviours in C, which are built with another C
 * library than the system's. One thread announces points.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int om_test_point;

static inline void om_test_file(char* path, size_t room, const char* kind) {
  const char* folder = getenv("OM_TEST_DIR");
  if (folder == NULL) {
    fputs("broken set-up: OM_TEST_DIR is not set; run this through test/lib/om_case.py\n", stderr);
    _exit(99);
  }
  snprintf(path, room, "%s/%s.%d", folder, kind, om_test_point);
}

static inline void om_test_fail(const char* file, int line, const char* what) {
  fprintf(stderr, "%s:%d: %s (errno %d)\n", file, line, what, errno);
  _exit(1);
}

#define OM_CHECK(condition) ((condition) ? (void)0 : om_test_fail(__FILE__, __LINE__, #condition))

/* Announces the next point; with a system call: the moves begin when the calling thread is seen inside it. */
static inline void om_test_ready_in(long block) {
  char path[512], draft[520];
  om_test_point++;
  om_test_file(path, sizeof path, "ready");
  snprintf(draft, sizeof draft, "%s.new", path);
  FILE* file = fopen(draft, "w");
  OM_CHECK(file != NULL);
  fprintf(file, "pid %d\ntid %d\n", (int)getpid(), (int)syscall(SYS_gettid));
  if (block >= 0) fprintf(file, "block %ld\n", block);
  OM_CHECK(fclose(file) == 0 && rename(draft, path) == 0);
}

static inline void om_test_ready(void) { om_test_ready_in(-1); }

/* Returns when all moves of the point are made. */
static inline void om_test_wait_moved(void) {
  char path[512];
  om_test_file(path, sizeof path, "moved");
  const struct timespec nap = {0, 2000000};
  while (access(path, F_OK) != 0) nanosleep(&nap, NULL);
}
