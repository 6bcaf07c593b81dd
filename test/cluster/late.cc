// SPDX-License-Identifier: Apache-2.0
//
// A preload library that holds its program at a point of its start: OM_TEST_HOLD=POINT:DIR. At the point the file
// DIR/held appears; the program goes on when DIR/go does.
//
//   constructor   when this library is initialised
//   fork, exec    in the function, as `om run` calls it
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

namespace {

void hold_at(const char* point) {
  const char* wanted = getenv("OM_TEST_HOLD");
  const size_t length = strlen(point);
  if (wanted == nullptr || strncmp(wanted, point, length) != 0 || wanted[length] != ':') return;
  const int dir = open(wanted + length + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
  close(openat(dir, "held", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  const timespec nap{0, 1000000};
  while (faccessat(dir, "go", F_OK, 0) != 0) nanosleep(&nap, nullptr);
  close(dir);
}

template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void construct() { hold_at("constructor"); }

}  // namespace

extern "C" {

pid_t fork() {
  hold_at("fork");
  return next<pid_t()>("fork")();
}

int execvpe(const char* file, char* const arguments[], char* const environment[]) {
  hold_at("exec");
  return next<int(const char*, char* const*, char* const*)>("execvpe")(file, arguments,
                                                                       environment);
}

}  // extern "C"
