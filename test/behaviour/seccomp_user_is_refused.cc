// SPDX-License-Identifier: Apache-2.0
//
// A program with a seccomp filter of its own stays at home and its filter goes on working.
// om-expect: refused SECCOMP
#include "test/lib/om_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int main() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{4, code};
  OM_SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) om_test_skip("no seccomp filters");
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(syscall(SYS_getpriority, 0, 0), EDOM);
}
