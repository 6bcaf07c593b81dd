// SPDX-License-Identifier: Apache-2.0
//
// Calls that an ordinary user may not make, or with arguments that make no sense, give the same
// result and errno as natively, whichever of them comes first after a move. All are harmless when
// they fail.
// om-points: each
// om-suite: full
// om-limit: 900
#include "test/lib/om_test.h"

#include <stdio.h>
#include <sys/syscall.h>

struct Call {
  const char* name;
  long number;
  long arguments[4];
};
#define OM_CALL(name, ...)             \
  {                                    \
#name, SYS_##name, { __VA_ARGS__ } \
  }

static const Call kCalls[] = {
    OM_CALL(ptrace, 77777, 0, 0, 0),
    OM_CALL(syslog, 3, 0, 0),
    OM_CALL(setuid, 0),
    OM_CALL(setgid, 0),
    OM_CALL(setreuid, 0, 0),
    OM_CALL(setregid, 0, 0),
    OM_CALL(setresgid, 0, 0, 0),
    OM_CALL(setgroups, 1, 8),
    OM_CALL(setfsuid, 0),
    OM_CALL(setfsgid, 0),
    OM_CALL(capset, 8, 8),
    OM_CALL(uselib, 0),
    OM_CALL(ustat, 0, 8),
    OM_CALL(sysfs, 99, 0),
    OM_CALL(vhangup, 0),
    OM_CALL(modify_ldt, 99, 0, 0),
    OM_CALL(pivot_root, 0, 0),
    OM_CALL(chroot, 0),
    OM_CALL(acct, 8),
    OM_CALL(settimeofday, 8, 8),
    OM_CALL(mount, 0, 0, 0, 0),
    OM_CALL(umount2, 0, 0),
    OM_CALL(swapon, 0, 0),
    OM_CALL(swapoff, 0),
    OM_CALL(reboot, 1, 2, 3),
    OM_CALL(sethostname, 8, 5),
    OM_CALL(setdomainname, 8, 5),
    OM_CALL(iopl, 3),
    OM_CALL(ioperm, 0, 8, 1),
    OM_CALL(init_module, 0, 0, 0),
    OM_CALL(delete_module, 0, 0),
    OM_CALL(quotactl, 0, 0, 0, 0),
    OM_CALL(remap_file_pages, 1, 1, 1, 1),
    OM_CALL(clock_settime, 0, 8),
    OM_CALL(clock_adjtime, 99, 8),
    OM_CALL(mbind, 1, 1, 99, 0),
    OM_CALL(set_mempolicy, 99, 0, 0),
    OM_CALL(migrate_pages, 0, 1 << 20, 0, 0),
    OM_CALL(move_pages, 0, 1, 8, 0),
    OM_CALL(mq_notify, -1, 8),
    OM_CALL(kexec_load, 0, 0, 0, 0),
    OM_CALL(add_key, 8, 8, 0, 0),
    OM_CALL(request_key, 8, 0, 0, 0),
    OM_CALL(keyctl, 999, 0, 0, 0),
    OM_CALL(ioprio_set, 99, 0, 0),
    OM_CALL(ioprio_get, 99, 0),
    OM_CALL(perf_event_open, 8, 0, 0, 0),
    OM_CALL(fanotify_init, -1, 0),
    OM_CALL(fanotify_mark, -1, 0, 0, 0),
    OM_CALL(name_to_handle_at, -1, 8, 8, 8),
    OM_CALL(open_by_handle_at, -1, 8, 0),
    OM_CALL(setns, -1, 0),
    OM_CALL(process_vm_readv, 0, 0, 0, 0),
    OM_CALL(finit_module, -1, 0, 0),
    OM_CALL(seccomp, 99, 0, 0),
    OM_CALL(kexec_file_load, -1, -1, 0, 0),
    OM_CALL(bpf, 9999, 0, 0),
    OM_CALL(pkey_mprotect, 1, 1, 0, 0),
    OM_CALL(pkey_free, 99),
    OM_CALL(open_tree, -1, 8, 0),
    OM_CALL(move_mount, -1, 8, -1, 8),
    OM_CALL(fsopen, 8, 0),
    OM_CALL(fsconfig, -1, 0, 0, 0),
    OM_CALL(fsmount, -1, 0, 0),
    OM_CALL(fspick, -1, 8, 0),
    OM_CALL(process_madvise, -1, 8, 1, 0),
    OM_CALL(mount_setattr, -1, 8, 0, 8),
    OM_CALL(landlock_create_ruleset, 8, 1, 99),
    OM_CALL(landlock_add_rule, -1, 0, 0, 99),
    OM_CALL(landlock_restrict_self, -1, 99),
    OM_CALL(memfd_secret, 99),
    OM_CALL(process_mrelease, -1, 0),
    OM_CALL(lookup_dcookie, 0, 0, 0),
    OM_CALL(nfsservctl, 0, 0, 0),
    OM_CALL(afs_syscall, 0),
    OM_CALL(tuxcall, 0),
    OM_CALL(security, 0),
    OM_CALL(getpmsg, 0),
    OM_CALL(query_module, 0),
    OM_CALL(create_module, 0),
    OM_CALL(get_kernel_syms, 0),
    OM_CALL(vserver, 0),
    OM_CALL(epoll_ctl_old, 0),
    OM_CALL(epoll_wait_old, 0),
    OM_CALL(userfaultfd, 0x12345),
    OM_CALL(pkey_alloc, 99, 99),
    OM_CALL(quotactl_fd, -1, 0, 0, 0),
    OM_CALL(set_mempolicy_home_node, 1, 1, 99, 99),
    // Newer than the kernel headers that this may be built with.
    {"cachestat", 451, {-1, 8, 8, 99}},
    {"map_shadow_stack", 453, {1, 1, 99}},
    {"statmount", 457, {8, 8, 0, 99}},
    {"listmount", 458, {8, 8, 0, 99}},
    {"lsm_get_self_attr", 459, {9999, 0, 8, 0}},
    {"lsm_set_self_attr", 460, {9999, 8, 0, 0}},
    {"lsm_list_modules", 461, {0, 8, 99}},
    {"mseal", 462, {1, 1, 99}},
    {"setxattrat", 463, {-1, 8, 0, 8}},
    {"getxattrat", 464, {-1, 8, 0, 8}},
    {"listxattrat", 465, {-1, 8, 0, 8}},
    {"removexattrat", 466, {-1, 8, 0, 8}},
    {"open_tree_attr", 467, {-1, 8, 0, 8}},
    {"file_getattr", 468, {-1, 8, 8, 99}},
    {"file_setattr", 469, {-1, 8, 8, 99}},
    {"listns", 470, {8, 8, 0, 99}},
};

int main() {
  if (geteuid() == 0) om_test_skip("only for an ordinary user");
  for (const Call& call : kCalls) {
    om_test_ready();
    om_test_wait_moved();
    const long* a = call.arguments;
    errno = 0;
    long result = syscall(call.number, a[0], a[1], a[2], a[3], 0, 0);
    printf("%s %ld %d\n", call.name, result, errno);
  }
}
