// SPDX-License-Identifier: Apache-2.0
//
// getcwd, chdir and fchdir; relative names follow; a removed directory is noticed.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <string>

static std::string here() {
  OmGuarded buffer(PATH_MAX);
  OM_CHECK(getcwd(buffer.data(), PATH_MAX) == buffer.data());
  return buffer.data();
}

int main() {
  OM_SYS(mkdir("one", 0700));
  OM_SYS(mkdir("one/two", 0700));
  std::string top = here();
  int top_fd = OM_SYS(open(".", O_RDONLY | O_DIRECTORY));
  OM_SYS(chdir("one"));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK(here() == top + "/one");
  OM_SYS(chdir("two"));
  OM_CHECK(here() == top + "/one/two");
  OM_SYS(close(OM_SYS(creat("made-here", 0600))));
  OmGuarded tight(top.size() + 9);
  OM_CHECK(getcwd(tight.data(), top.size() + 9) == tight.data());
  OM_CHECK(getcwd(tight.data(), top.size() + 8) == nullptr && errno == ERANGE);
  OM_SYS(fchdir(top_fd));
  OM_CHECK(here() == top);
  OM_SYS(unlink("one/two/made-here"));
  OM_CHECK_ERRNO(chdir("nowhere"), ENOENT);
  OM_SYS(chdir("one/two"));
  OM_SYS(rmdir("../two"));
  OM_CHECK(getcwd(tight.data(), top.size() + 9) == nullptr && errno == ENOENT);
}
