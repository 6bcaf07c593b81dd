// SPDX-License-Identifier: Apache-2.0
//
// Settings that keep a process at home can be made after the move: it comes home for them, nothing
// fails.
#include "test/lib/om_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(prctl(PR_SET_DUMPABLE, 0));
  OM_CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
  sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{1, code};
  OM_SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) OM_CHECK_EQ(errno, EINVAL);
  OM_CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
  OM_CHECK_EQ(access("/", F_OK), 0);
}
