// SPDX-License-Identifier: Apache-2.0
//
// argv, environ, auxv and /proc/self/cmdline, environ, exe and comm tell the same after the move.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <string>

static std::string contents(const char* path) {
  std::string text(100000, 0);
  int fd = OM_SYS(open(path, O_RDONLY));
  size_t total = 0;
  for (ssize_t got; (got = OM_SYS(read(fd, text.data() + total, text.size() - total))) > 0;) {
    total += static_cast<size_t>(got);
  }
  close(fd);
  text.resize(total);
  return text;
}

static std::string exe() {
  char path[4096] = {};
  OM_SYS(readlink("/proc/self/exe", path, sizeof path - 1));
  return path;
}

int main(int argc, char** argv) {
  std::string command = contents("/proc/self/cmdline"),
              environment = contents("/proc/self/environ");
  std::string program = exe(), home = getenv("HOME"), name = argv[0];
  OM_CHECK_EQ(argc, 1);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK(contents("/proc/self/cmdline") == command);
  OM_CHECK(contents("/proc/self/environ") == environment);
  OM_CHECK(command.c_str() == name && name == argv[0]);
  OM_CHECK(exe() == program);
  OM_CHECK(home == getenv("HOME"));
  OM_CHECK(contents("/proc/self/comm") ==
           std::string(program_invocation_short_name).substr(0, 15) + "\n");
  OM_CHECK_EQ(getauxval(AT_PAGESZ), 4096);
  OM_CHECK_EQ(reinterpret_cast<const char*>(getauxval(AT_EXECFN)), name.c_str());
}
