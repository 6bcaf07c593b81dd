// SPDX-License-Identifier: Apache-2.0
#include "test/hostile/escapes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include <type_traits>

namespace om::hostile {
namespace {

template <class T>
uint64_t word(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<uint64_t>(value);
  } else {
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
}

template <class... T>
long make(Call call, long nr, T... values) {
  uint64_t all[6] = {word(values)...};
  return call(nr, all[0], all[1], all[2], all[3], all[4], all[5]);
}

// A path of the other process's; the text is good until the next call.
const char* of(const Outside& o, const char* what) {
  static char path[96];
  snprintf(path, sizeof path, "/proc/%d/%s", o.pid, what);
  return path;
}

long open_it(Call call, const char* path, int flags) {
  return make(call, SYS_openat, AT_FDCWD, path, flags, 0);
}

long enter(Call call, long fd, long kind) { return fd < 0 ? fd : make(call, SYS_setns, fd, kind); }

// A file system of this kind in a mount of its own: opens `path` there.
long mounted(Call call, const char* kind, const char* path, int flags) {
  make(call, SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS);
  const long made = make(call, SYS_fsopen, kind, 0);
  if (made < 0) return made;
  const long created = make(call, SYS_fsconfig, made, 6 /* FSCONFIG_CMD_CREATE */, 0, 0, 0);
  if (created < 0) return created;
  const long mount = make(call, SYS_fsmount, made, 0, 0);
  return mount < 0 ? mount : make(call, SYS_openat, mount, path, flags, 0);
}

long climb(Call call, const Outside&) {
  make(call, SYS_unshare, CLONE_NEWUSER);
  make(call, SYS_mkdirat, AT_FDCWD, "/tmp/om-climb", 0700);
  const long down = make(call, SYS_chroot, "/tmp/om-climb");
  if (down < 0) {
    const long failed = make(call, SYS_chroot, ".");
    if (failed < 0) return failed;
  }
  for (int i = 0; i < 64; i++) make(call, SYS_chdir, "..");
  make(call, SYS_chroot, ".");
  return open_it(call, "etc/passwd", O_RDONLY);
}

long by_handle(Call call, const Outside&) {
  alignas(file_handle) unsigned char bytes[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(bytes);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  const long named = make(call, SYS_name_to_handle_at, AT_FDCWD, "/", handle, &mount, 0);
  if (named < 0) return named;
  return make(call, SYS_open_by_handle_at, AT_FDCWD, handle, O_RDONLY);
}

long their_memory(Call call, const Outside& o, long nr) {
  uint64_t value = 0;
  iovec own{&value, sizeof value}, theirs{reinterpret_cast<void*>(o.memory), sizeof value};
  return make(call, nr, o.pid, &own, 1, &theirs, 1, 0);
}

long by_pidfd(Call call, const Outside& o, long nr) {
  const long fd = make(call, SYS_pidfd_open, o.pid, 0);
  if (fd < 0) return fd;
  if (nr == SYS_setns) return enter(call, fd, CLONE_NEWNET);
  return make(call, nr, fd, 0, 0, 0);
}

long queue_signal(Call call, const Outside& o) {
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  return make(call, SYS_rt_sigqueueinfo, o.pid, 0, &info);
}

long abstract_socket(Call call, const Outside& o) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  strncpy(to.sun_path + 1, o.name, sizeof to.sun_path - 2);
  const long fd = make(call, SYS_socket, AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  return make(call, SYS_connect, fd, &to, offsetof(sockaddr_un, sun_path) + 1 + strlen(o.name));
}

long network(Call call, const Outside& o) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(o.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const long fd = make(call, SYS_socket, AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? fd : make(call, SYS_connect, fd, &to, sizeof to);
}

// The interfaces that it may change: more than its own lo.
long route(Call call, const Outside&) {
  const long fd = make(call, SYS_socket, AF_NETLINK, SOCK_RAW, 0);
  if (fd < 0) return fd;
  struct {
    uint32_t length = 36;
    uint16_t type = 17, flags = 5;  // RTM_DELLINK, request and acknowledge
    uint32_t sequence = 1, port = 0;
    uint8_t family = 0, pad = 0;
    uint16_t device = 0;
    int32_t index = 2;
    uint32_t bits = 0, change = 0;
    uint32_t more = 0;
  } request;
  request.length = 32;
  const long sent = make(call, SYS_sendto, fd, &request, request.length, 0, 0, 0);
  if (sent < 0) return sent;
  struct {
    uint32_t length;
    uint16_t type, flags;
    uint32_t sequence, port;
    int32_t error;
    char rest[200];
  } answer{};
  const long got = make(call, SYS_recvfrom, fd, &answer, sizeof answer, MSG_DONTWAIT, 0, 0);
  return got < 0 ? got : answer.error;
}

long key(Call call, const Outside& o) {
  return make(call, SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", o.name, 0);
}

long measured(Call call, const Outside& o) {
  perf_event_attr what{};
  what.size = sizeof what;
  what.type = PERF_TYPE_SOFTWARE;
  what.config = PERF_COUNT_SW_TASK_CLOCK;
  what.exclude_kernel = 1;
  return make(call, SYS_perf_event_open, &what, o.pid, -1, -1, 0);
}

long programs(Call call, const Outside&) {
  bpf_attr what{};
  return make(call, SYS_bpf, BPF_PROG_GET_NEXT_ID, &what, sizeof what);
}

long terminal(Call call, const Outside&) {
  const long fd = open_it(call, "/dev/tty", O_RDWR);
  const char byte = '\n';
  return fd < 0 ? fd : make(call, SYS_ioctl, fd, TIOCSTI, &byte);
}

long moved_root(Call call, const Outside&) {
  make(call, SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS);
  make(call, SYS_umount2, "/", MNT_DETACH);
  make(call, SYS_pivot_root, ".", ".");
  make(call, SYS_umount2, ".", MNT_DETACH);
  make(call, SYS_chdir, "/");
  const long fd = open_it(call, "etc/passwd", O_RDONLY);
  return fd;
}

long rewritten_ids(Call call, const Outside&) {
  const long fd = open_it(call, "/proc/self/uid_map", O_WRONLY);
  if (fd < 0) return fd;
  const long wrote = make(call, SYS_write, fd, "0 0 1\n", 6);
  return wrote < 0 ? wrote : make(call, SYS_setuid, 0);
}

long priority(Call call, const Outside& o) {
  return make(call, SYS_getpriority, PRIO_PROCESS, o.pid);
}

long limits(Call call, const Outside& o) {
  rlimit64 now{};
  return make(call, SYS_prlimit64, o.pid, RLIMIT_CORE, 0, &now);
}

constexpr Escape kTable[] = {
    {"open /etc/passwd", Alone::kAlways,
     [](Call c, const Outside&) { return open_it(c, "/etc/passwd", O_RDONLY); }},
    {"setns of init", Alone::kNever,
     [](Call c, const Outside&) {
       return enter(c, open_it(c, "/proc/1/ns/net", O_RDONLY), CLONE_NEWNET);
     }},
    {"setns of another", Alone::kNever,
     [](Call c, const Outside& o) {
       return enter(c, open_it(c, of(o, "ns/net"), O_RDONLY), CLONE_NEWNET);
     }},
    {"setns by pidfd", Alone::kNever,
     [](Call c, const Outside& o) { return by_pidfd(c, o, SYS_setns); }},
    {"root of another", Alone::kMay,
     [](Call c, const Outside& o) { return open_it(c, of(o, "root/etc/passwd"), O_RDONLY); }},
    {"mem of another", Alone::kMay,
     [](Call c, const Outside& o) { return open_it(c, of(o, "mem"), O_RDWR); }},
    {"process_vm_readv", Alone::kMay,
     [](Call c, const Outside& o) { return their_memory(c, o, SYS_process_vm_readv); }},
    {"process_vm_writev", Alone::kMay,
     [](Call c, const Outside& o) { return their_memory(c, o, SYS_process_vm_writev); }},
    {"ptrace", Alone::kMay,
     [](Call c, const Outside& o) { return make(c, SYS_ptrace, PTRACE_SEIZE, o.pid, 0, 0); }},
    {"kill", Alone::kAlways, [](Call c, const Outside& o) { return make(c, SYS_kill, o.pid, 0); }},
    {"kill of all", Alone::kMay, [](Call c, const Outside&) { return make(c, SYS_kill, -1, 0); }},
    {"tgkill", Alone::kAlways,
     [](Call c, const Outside& o) { return make(c, SYS_tgkill, o.pid, o.pid, 0); }},
    {"rt_sigqueueinfo", Alone::kAlways, queue_signal},
    {"pidfd_send_signal", Alone::kAlways,
     [](Call c, const Outside& o) { return by_pidfd(c, o, SYS_pidfd_send_signal); }},
    {"pidfd_getfd", Alone::kMay,
     [](Call c, const Outside& o) { return by_pidfd(c, o, SYS_pidfd_getfd); }},
    {"kcmp", Alone::kMay,
     [](Call c, const Outside& o) { return make(c, SYS_kcmp, o.pid, o.pid, KCMP_FILE, 0, 0); }},
    {"prlimit", Alone::kMay, limits},
    {"getpriority", Alone::kAlways, priority},
    {"get_robust_list", Alone::kMay,
     [](Call c, const Outside& o) {
       uint64_t head = 0, size = 0;
       return make(c, SYS_get_robust_list, o.pid, &head, &size);
     }},
    {"move_pages", Alone::kMay,
     [](Call c, const Outside& o) { return make(c, SYS_move_pages, o.pid, 0, 0, 0, 0, 0); }},
    {"perf_event_open", Alone::kMay, measured},
    {"mount of proc", Alone::kMay,
     [](Call c, const Outside& o) {
       char path[32];
       snprintf(path, sizeof path, "%d/status", o.pid);
       return mounted(c, "proc", path, O_RDONLY);
     }},
    {"mount of sysfs", Alone::kMay,
     [](Call c, const Outside&) { return mounted(c, "sysfs", "kernel/uevent_seqnum", O_RDONLY); }},
    {"mount of cgroup2", Alone::kNever,
     [](Call c, const Outside&) { return mounted(c, "cgroup2", "cgroup.procs", O_WRONLY); }},
    {"pivot_root", Alone::kMay, moved_root},
    {"chroot and climb", Alone::kMay, climb},
    {"open_by_handle_at", Alone::kNever, by_handle},
    {"mknod of a device", Alone::kNever,
     [](Call c, const Outside&) {
       return make(c, SYS_mknodat, AT_FDCWD, "/tmp/om-device", S_IFBLK | 0600, 0x800);
     }},
    {"uid_map again", Alone::kNever, rewritten_ids},
    {"setuid 0", Alone::kNever, [](Call c, const Outside&) { return make(c, SYS_setuid, 0); }},
    {"abstract socket", Alone::kAlways, abstract_socket},
    {"TCP on 127.0.0.1", Alone::kAlways, network},
    {"netlink", Alone::kNever, route},
    {"System V memory", Alone::kAlways,
     [](Call c, const Outside& o) {
       const long at = make(c, SYS_shmat, o.shared_memory, 0, SHM_RDONLY);
       return at < 0 && at > -4096 ? at : 0;
     }},
    {"message queue", Alone::kMay,
     [](Call c, const Outside& o) { return make(c, SYS_mq_open, o.name + 1, O_RDWR, 0, 0); }},
    {"key of the user", Alone::kMay, key},
    {"bpf", Alone::kNever, programs},
    {"TIOCSTI", Alone::kNever, terminal},
    {"clock_settime", Alone::kNever,
     [](Call c, const Outside&) {
       timespec t{1, 0};
       return make(c, SYS_clock_settime, CLOCK_REALTIME, &t);
     }},
    {"init_module", Alone::kNever,
     [](Call c, const Outside&) { return make(c, SYS_init_module, "", 0, ""); }},
    {"reboot", Alone::kNever,
     [](Call c, const Outside&) {
       return make(c, SYS_reboot, 0xfee1deadl, 672274793, 0x89abcdefl, 0);
     }},
};

}  // namespace

std::span<const Escape> escapes() { return kTable; }

}  // namespace om::hostile
