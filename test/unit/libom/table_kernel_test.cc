// SPDX-License-Identifier: Apache-2.0
//
// Checks rows of the system call table against the running kernel (see table_judge.h). Makes only harmless calls, on
// objects of its own; what this kernel or this account cannot do is reported as skipped. Not covered: rows without
// buffers, calls that need privileges or end the process.
#include <doctest/doctest.h>

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <linux/sockios.h>
#include <mqueue.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <array>

#include "test/unit/libom/table_judge.h"

using namespace om;

namespace {

constexpr uint64_t kNoSignals = 0;
using Commands = std::initializer_list<unsigned long>;
const timespec kNow{0, 0};
const timespec kTick{0, 1000000};

// A file in a directory of its own; everything is removed at the end.
struct Scratch {
  char dir[32] = "/tmp/om-table-XXXXXX";
  std::string file;
  int fd = -1;
  Scratch() {
    REQUIRE(mkdtemp(dir) != nullptr);
    file = std::string(dir) + "/file";
    fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(write(fd, "0123456789abcdef", 16) == 16);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    close(fd);
    unlink(file.c_str());
    rmdir(dir);
  }
};

void close_pair(const Judge& j, unsigned arg) {
  for (size_t i = 0; i < 2; i++) close(j.as<std::array<int, 2>>(arg)[i]);
}

TEST_CASE("files and directories") {
  Scratch s;
  const char* path = s.file.c_str();
  Judge j;
  j.judge({kNr_stat, {path, kFill}});
  j.judge({kNr_lstat, {path, kFill}});
  j.judge({kNr_fstat, {s.fd, kFill}});
  j.judge({kNr_newfstatat, {AT_FDCWD, path, kFill, 0}});
  j.judge({kNr_statx, {AT_FDCWD, path, 0, 0x7ff, kFill}});
  j.judge({kNr_statfs, {path, kFill}});
  j.judge({kNr_fstatfs, {s.fd, kFill}});
  struct stat st {};
  REQUIRE(stat("/", &st) == 0);
  j.judge({kNr_ustat, {st.st_dev, kFill}, kMayFail});
  j.judge({kNr_access, {path, R_OK}});
  j.judge({kNr_faccessat, {AT_FDCWD, path, R_OK}});
  j.judge({kNr_faccessat2, {AT_FDCWD, path, R_OK, 0}});
  j.judge({kNr_getcwd, {kFill, 4096}});
  j.judge({kNr_readlink, {"/proc/self/exe", kFill, 4096}});
  j.judge({kNr_readlink, {"/proc/self/exe", kFill, 5}});
  j.judge({kNr_readlinkat, {AT_FDCWD, "/proc/self/exe", kFill, 5}});
  j.judge({kNr_chmod, {path, 0600}});
  j.judge({kNr_fchmodat, {AT_FDCWD, path, 0600}});
  j.judge({kNr_fchmodat2, {AT_FDCWD, path, 0600, 0}});
  j.judge({kNr_truncate, {path, 16}});
  j.judge({kNr_utime, {path, of(utimbuf{1, 2})}});
  const timeval tv[2] = {{1, 2}, {3, 4}};
  const timespec ts[2] = {{1, 2}, {3, 4}};
  j.judge({kNr_utimes, {path, of(tv)}});
  j.judge({kNr_futimesat, {AT_FDCWD, path, of(tv)}});
  j.judge({kNr_utimensat, {AT_FDCWD, path, of(ts), 0}});
  const uint64_t how[3] = {O_RDONLY | O_CLOEXEC, 0, 0};
  close(static_cast<int>(j.judge({kNr_openat2, {AT_FDCWD, path, of(how), 24}})));
  close(static_cast<int>(j.judge({kNr_open, {path, O_RDONLY, 0}, kOnce})));
  const int d = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  j.judge({kNr_getdents64, {d, kFill, 4096}, kOnce});
  lseek(d, 0, SEEK_SET);
  j.judge({kNr_getdents, {d, kFill, 4096}, kOnce});
  close(d);
  const int n = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const long watcher = j.judge({kNr_inotify_init1, {O_CLOEXEC}});
  j.judge({kNr_inotify_add_watch, {watcher, path, 2}});
  close(static_cast<int>(watcher));
  close(n);
  j.judge({kNr_cachestat, {s.fd, of(std::array<uint64_t, 2>{0, 16}), kFill, 0}});
  j.judge({kNr_file_getattr, {AT_FDCWD, path, kFill, 24, 0}});
  const uint64_t root[4] = {32, 0xffffffffffffffffull, 0, 0};  // size, LSMT_ROOT
  j.judge({kNr_listmount, {of(root), kFill, 4, 0}, kMayFail});
}

TEST_CASE("reading and writing") {
  Scratch s;
  Judge j;
  const Value text(std::string("fedcba9876543210"));
  j.judge({kNr_pwrite64, {s.fd, text, 16, 0}, kLoose});  // a fault only shortens it
  j.judge({kNr_pread64, {s.fd, kFill, 16, 0}, kLoose});
  CHECK(j.bytes(1) == "fedcba9876543210");
  j.judge({kNr_pread64, {s.fd, kFill, 64, 8}});
  j.judge({kNr_pread64, {s.fd, kFill, 64, 99}});
  lseek(s.fd, 0, SEEK_SET);
  j.judge({kNr_read, {s.fd, kFill, 64}, kOnce});
  j.judge({kNr_read, {s.fd, kFill, 64}});  // end of file: nothing is written
  j.judge({kNr_write, {s.fd, "x", 1}});
  int p[2];
  REQUIRE(pipe2(p, O_CLOEXEC) == 0);
  const long offset = 2;
  CHECK(j.judge({kNr_sendfile, {p[1], s.fd, of(offset), 4}}) == 4);
  CHECK(j.as<long>(2) == 6);
  j.judge({kNr_splice, {s.fd, of(offset), p[1], kNull, 4, 0}});
  j.judge({kNr_copy_file_range, {s.fd, of(offset), s.fd, of(100l), 4, 0}});
  close(p[0]);
  close(p[1]);
  j.judge({kNr_pipe, {kFill}, kOnce});
  close_pair(j, 0);
  j.judge({kNr_pipe2, {kFill, O_CLOEXEC}, kOnce});
  close_pair(j, 0);
  j.judge({kNr_getrandom, {kFill, 100, 0}, kLoose});
  close(static_cast<int>(j.judge({kNr_memfd_create, {"om", 1}, kOnce})));
}

TEST_CASE("extended attributes") {
  Scratch s;
  const char* path = s.file.c_str();
  Judge j;
  if (j.judge({kNr_setxattr, {path, "user.om", "value", 5, 0}}) < 0) return;
  j.judge({kNr_fsetxattr, {s.fd, "user.om", "value", 5, 0}});
  CHECK(j.judge({kNr_getxattr, {path, "user.om", kFill, 5}}) == 5);
  j.judge({kNr_getxattr, {path, "user.om", kFill, 50}});
  CHECK(j.judge({kNr_getxattr, {path, "user.om", kFill, 0}}) == 5);
  j.judge({kNr_lgetxattr, {path, "user.om", kFill, 2}, kMayFail});
  j.judge({kNr_fgetxattr, {s.fd, "user.om", kFill, 50}});
  j.judge({kNr_listxattr, {path, kFill, 500}});
  j.judge({kNr_flistxattr, {s.fd, kFill, 0}});
  j.judge({kNr_listxattrat, {AT_FDCWD, path, 0, kFill, 500}});
  j.judge({kNr_removexattr, {path, "user.om"}, kOnce});
  const std::string longest(300, 'n');  // the first 256 bytes are all that the kernel reads
  CHECK(j.judge({kNr_getxattr, {path, longest.c_str(), kFill, 5}, kMayFail}) == -ERANGE);
}

TEST_CASE("the process and the system") {
  Judge j;
  j.judge({kNr_uname, {kFill}});
  j.judge({kNr_sysinfo, {kFill}});
  j.judge({kNr_times, {kFill}});
  j.judge({kNr_getrusage, {RUSAGE_SELF, kFill}});
  j.judge({kNr_getrlimit, {RLIMIT_NOFILE, kFill}});
  rlimit limit{};
  getrlimit(RLIMIT_CORE, &limit);
  j.judge({kNr_setrlimit, {RLIMIT_CORE, of(limit)}});
  j.judge({kNr_prlimit64, {0, RLIMIT_CORE, of(limit), kFill}});
  j.judge({kNr_getgroups, {1000, kFill}});
  j.judge({kNr_getgroups, {0, kFill}});
  j.judge({kNr_getresuid, {kFill, kFill, kFill}});
  j.judge({kNr_getresgid, {kFill, kFill, kFill}});
  j.judge({kNr_sched_getparam, {0, kFill}});
  j.judge({kNr_sched_rr_get_interval, {0, kFill}});
  j.judge({kNr_sched_getaffinity, {0, 1024, kFill}});
  j.judge({kNr_sched_getattr, {0, kFill, 48, 0}});
  j.judge({kNr_sched_getattr, {0, kFill, 80, 0}, kLoose});
  j.judge({kNr_get_robust_list, {0, kFill, kFill}});
  j.judge({kNr_getcpu, {kFill, kFill, kNull}});
  j.judge({kNr_lsm_list_modules, {kFill, of(400u), 0}, kLoose});
  j.judge({kNr_adjtimex, {of(timex{})}});
  j.judge({kNr_clock_adjtime, {CLOCK_REALTIME, of(timex{})}});
  j.judge({kNr_prctl, {PR_GET_PDEATHSIG, kFill, 0, 0, 0}});
  j.judge({kNr_prctl, {PR_SET_NAME, "om-table", 0, 0, 0}});
  j.judge({kNr_prctl, {PR_SET_NAME, "a name that is much too long", 0, 0, 0}});
  j.judge({kNr_prctl, {PR_GET_NAME, kFill, 0, 0, 0}});
  CHECK(j.bytes(1) == std::string("a name that is \0", 16));
  j.judge({kNr_prctl, {PR_GET_CHILD_SUBREAPER, kFill, 0, 0, 0}});
  j.judge({kNr_prctl, {PR_GET_TSC, kFill, 0, 0, 0}});
  j.judge({kNr_prctl, {PR_GET_TID_ADDRESS, kFill, 0, 0, 0}, kMayFail});
  j.judge({kNr_prctl, {0x41555856, kFill, 1000, 0, 0}, kMayFail});  // PR_GET_AUXV, 6.4
}

TEST_CASE("clocks and timers") {
  Judge j;
  j.judge({kNr_clock_gettime, {CLOCK_MONOTONIC, kFill}});
  j.judge({kNr_clock_getres, {CLOCK_MONOTONIC, kFill}});
  j.judge({kNr_gettimeofday, {kFill, kFill}});
  j.judge({kNr_time, {kFill}});
  j.judge({kNr_getitimer, {ITIMER_REAL, kFill}});
  j.judge({kNr_setitimer, {ITIMER_VIRTUAL, of(itimerval{}), kFill}});
  j.judge({kNr_nanosleep, {of(kTick), kFill}, kLoose});  // not interrupted: rem is left alone
  j.judge({kNr_clock_nanosleep, {CLOCK_MONOTONIC, 0, of(kTick), kFill}, kLoose});
  sigevent event{};
  event.sigev_notify = SIGEV_NONE;
  j.judge({kNr_timer_create, {CLOCK_MONOTONIC, of(event), kFill}, kOnce});
  const int timer = j.as<int>(2);
  const itimerspec later{{0, 0}, {1000, 0}};
  j.judge({kNr_timer_settime, {timer, 0, of(later), kFill}});
  j.judge({kNr_timer_gettime, {timer, kFill}});
  j.judge({kNr_timer_delete, {timer}, kOnce});
  const long fd = j.judge({kNr_timerfd_create, {CLOCK_MONOTONIC, TFD_CLOEXEC}});
  j.judge({kNr_timerfd_settime, {fd, 0, of(later), kFill}});
  j.judge({kNr_timerfd_gettime, {fd, kFill}});
  close(static_cast<int>(fd));
}

void nothing(int) {}

// What is left of 100 seconds; the fill pattern is negative.
bool is_rest(long seconds) { return seconds >= 0 && seconds < 100; }

TEST_CASE("what is copied out depends on the result") {
  Judge j;
  struct sigaction quiet {};
  quiet.sa_handler = nothing;
  struct sigaction before {};
  sigaction(SIGALRM, &quiet, &before);
  const timespec longer{100, 0};
  const int once = kOnce | kMayFail;
  const itimerval ticks{{0, 20000},
                        {0, 20000}};  // again and again: one tick may come before the call
  setitimer(ITIMER_REAL, &ticks, nullptr);
  CHECK(j.judge({kNr_nanosleep, {of(longer), kFill}, once}) == -EINTR);
  CHECK(is_rest(j.as<timespec>(1).tv_sec));
  CHECK(j.judge({kNr_clock_nanosleep, {CLOCK_MONOTONIC, 0, of(longer), kFill}, once}) == -EINTR);
  CHECK(is_rest(j.as<timespec>(3).tv_sec));
  // When interrupted, it has written revents and the time left.
  CHECK(j.judge({kNr_ppoll, {of(pollfd{-1, 1, 1}), 1, of(longer), kNull, 8}, once}) == -EINTR);
  CHECK(j.as<pollfd>(0).revents == 0);
  CHECK(is_rest(j.as<timespec>(2).tv_sec));
  const timeval wait{100, 0};
  CHECK(j.judge({kNr_select, {0, kNull, kNull, kNull, of(wait)}, once}) == -EINTR);
  CHECK(is_rest(j.as<timeval>(4).tv_sec));
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  sigaction(SIGALRM, &before, nullptr);

  int gate[2];
  REQUIRE(pipe2(gate, O_CLOEXEC) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char c;
    close(gate[1]);
    _exit(read(gate[0], &c, 1) == 0 ? 7 : 1);
  }
  CHECK(j.judge({kNr_wait4, {child, kFill, WNOHANG, kFill}, kLoose}) == 0);
  j.judge({kNr_waitid, {P_PID, child, kFill, WEXITED | WNOHANG, kFill}, kLoose});
  CHECK(j.as<siginfo_t>(2).si_pid == 0);
  close(gate[1]);
  j.judge({kNr_waitid, {P_PID, child, kFill, WEXITED | WNOWAIT, kFill}, kLoose});
  CHECK(j.as<siginfo_t>(2).si_pid == child);
  CHECK(j.judge({kNr_wait4, {child, kFill, 0, kFill}, kOnce}) == child);
  CHECK(WEXITSTATUS(j.as<int>(1)) == 7);
  CHECK(j.judge({kNr_waitid, {P_PID, child, kFill, WEXITED, kFill}, kMayFail}) == -ECHILD);
  close(gate[0]);
}

TEST_CASE("signals") {
  Judge j;
  sigset_t block;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  sigset_t before;
  sigprocmask(SIG_BLOCK, &block, &before);
  const uint64_t usr1 = 1ull << (SIGUSR1 - 1);
  j.judge({kNr_rt_sigprocmask, {SIG_BLOCK, of(usr1), kFill, 8}});
  j.judge({kNr_rt_sigaction, {SIGUSR1, kNull, kFill, 8}});
  j.judge({kNr_rt_sigaction, {SIGUSR1, of(std::array<uint64_t, 4>{}), kFill, 8}});
  j.judge({kNr_sigaltstack, {kNull, kFill}});
  CHECK(j.judge({kNr_rt_sigtimedwait, {of(usr1), kFill, of(kNow), 8}, kMayFail}) == -EAGAIN);
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  j.judge({kNr_rt_sigqueueinfo, {getpid(), SIGUSR1, of(info)}, kLoose});
  j.judge({kNr_rt_sigpending, {kFill, 8}});
  CHECK((j.as<uint64_t>(0) & usr1) != 0);
  CHECK(j.judge({kNr_rt_sigtimedwait, {of(usr1), kFill, of(kNow), 8}, kOnce}) == SIGUSR1);
  const long fd = j.judge({kNr_signalfd4, {-1, of(usr1), 8, 0}});
  close(static_cast<int>(fd));
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("waiting for descriptors") {
  Judge j;
  const int ready = eventfd(1, EFD_CLOEXEC);
  const pollfd fds[2] = {{ready, POLLIN, 0}, {-1, POLLIN, 0}};
  j.judge({kNr_poll, {of(fds), 2, 0}});
  j.judge({kNr_ppoll, {of(fds), 2, of(kTick), of(kNoSignals), 8}});
  const int rows = ready / 64 + 1;
  std::vector<uint64_t> set(static_cast<size_t>(rows));
  set[static_cast<size_t>(ready / 64)] = 1ull << (ready % 64);
  const Value sets(std::string(reinterpret_cast<char*>(set.data()), set.size() * 8));
  j.judge({kNr_select, {ready + 1, sets, sets, sets, of(timeval{0, 1000})}});
  CHECK(j.bytes(1) == sets.bytes);
  const std::array<uint64_t, 2> no_mask{0, 8};
  j.judge({kNr_pselect6, {ready + 1, sets, kNull, kNull, of(kTick), of(no_mask)}});
  const long ep = j.judge({kNr_epoll_create1, {O_CLOEXEC}});
  epoll_event event{};
  event.events = EPOLLIN;
  j.judge({kNr_epoll_ctl, {ep, EPOLL_CTL_ADD, ready, of(event)}, kOnce});
  j.judge({kNr_epoll_ctl, {ep, EPOLL_CTL_MOD, ready, of(event)}});
  CHECK(j.judge({kNr_epoll_wait, {ep, kFill, 1, 0}}) == 1);
  CHECK(j.judge({kNr_epoll_wait, {ep, kFill, 100, 0}}) == 1);
  j.judge({kNr_epoll_pwait, {ep, kFill, 1, 0, of(kNoSignals), 8}});
  j.judge({kNr_epoll_pwait2, {ep, kFill, 1, of(kNow), of(kNoSignals), 8}});
  close(static_cast<int>(ep));
  close(ready);
}

TEST_CASE("sockets") {
  Judge j;
  j.judge({kNr_socketpair, {AF_UNIX, SOCK_DGRAM, 0, kFill}, kOnce});
  const auto pair = j.as<std::array<int, 2>>(3);
  j.judge({kNr_getsockname, {pair[0], kFill, of(110u)}, kLoose});
  CHECK(j.as<unsigned>(2) == 2);
  j.judge({kNr_getpeername, {pair[0], kFill, of(1u)}});  // cut: a byte is written, the length is 2
  j.judge({kNr_getsockopt, {pair[0], SOL_SOCKET, SO_TYPE, kFill, of(4u)}});
  j.judge({kNr_getsockopt, {pair[0], SOL_SOCKET, SO_TYPE, kFill, of(2u)}});
  j.judge({kNr_getsockopt, {pair[0], SOL_SOCKET, SO_PEERCRED, kFill, of(64u)}, kLoose});
  j.judge({kNr_setsockopt, {pair[0], SOL_SOCKET, SO_RCVBUF, of(65536), 4}});
  for (int i = 0; i < 6; i++) j.judge({kNr_sendto, {pair[0], "hello", 5, 0, kNull, 0}, kOnce});
  CHECK(j.judge({kNr_recvfrom, {pair[1], kFill, 5, MSG_PEEK, kNull, kNull}}) == 5);
  CHECK(j.judge({kNr_recvfrom, {pair[1], kFill, 2, MSG_PEEK | MSG_TRUNC, kNull, kNull}}) == 5);
  j.judge({kNr_recvfrom, {pair[1], kFill, 50, 0, kFill, of(110u)}, kOnce});
  const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  j.judge({kNr_bind, {server, of(address), 2}, kOnce});  // an abstract name of the kernel's choice
  socklen_t size = sizeof(address);
  REQUIRE(getsockname(server, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  REQUIRE(listen(server, 4) == 0);
  const Value name(of(address).bytes.substr(0, size));
  CHECK(j.judge({kNr_connect, {client, name, size}, kOnce}) == 0);
  const long got = j.judge({kNr_accept4, {server, kFill, of(110u), SOCK_CLOEXEC}, kOnce});
  for (int fd : {pair[0], pair[1], server, client, static_cast<int>(got)}) close(fd);

  const int net = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq r{};
  strcpy(r.ifr_name, "lo");
  for (unsigned long cmd :
       Commands{SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFMTU, SIOCGIFINDEX, SIOCGIFHWADDR,
                SIOCGIFTXQLEN, SIOCGIFMETRIC, SIOCGIFBRDADDR, SIOCGIFMAP}) {
    j.judge({kNr_ioctl, {net, cmd, of(r)}, kMayFail});
  }
  r.ifr_ifindex = 1;
  j.judge({kNr_ioctl, {net, static_cast<unsigned long>(SIOCGIFNAME), of(r)}, kMayFail});
  close(net);
}

TEST_CASE("message queues and semaphores") {
  Judge j;
  const int queue = msgget(IPC_PRIVATE, 0600);
  if (queue >= 0) {
    const std::array<int64_t, 2> message{3, 0x6f6c6c6568};
    for (int i = 0; i < 4; i++) j.judge({kNr_msgsnd, {queue, of(message), 8, 0}, kOnce});
    CHECK(j.judge({kNr_msgrcv, {queue, kFill, 8, 0, 0}, kOnce}) == 8);
    CHECK(j.as<std::array<int64_t, 2>>(1) == message);
    j.judge({kNr_msgrcv, {queue, kFill, 100, 0, 0}});
    j.judge({kNr_msgctl, {queue, IPC_STAT, kFill}});
    j.judge({kNr_msgctl, {queue, IPC_SET, of(j.as<msqid_ds>(2))}});
    j.judge({kNr_msgctl, {0, 3, kFill}, kLoose});
    msgctl(queue, IPC_RMID, nullptr);
  }
  const int set = semget(IPC_PRIVATE, 2, 0600);
  if (set >= 0) {
    const sembuf ops[2] = {{0, 1, 0}, {1, 1, 0}};
    j.judge({kNr_semop, {set, of(ops), 2}});
    j.judge({kNr_semtimedop, {set, of(ops), 2, of(kTick)}});
    j.judge({kNr_semctl, {set, 0, IPC_STAT, kFill}});
    j.judge({kNr_semctl, {set, 0, IPC_SET, of(j.as<semid_ds>(3))}});
    j.judge({kNr_semctl, {0, 0, 3, kFill}});
    semctl(set, 0, IPC_RMID);
  }
  const std::string name = "om-table-" + std::to_string(getpid());
  mq_attr attr{};
  attr.mq_maxmsg = 4;
  attr.mq_msgsize = 32;
  const int create = O_RDWR | O_CREAT | O_EXCL;
  const long mq = j.judge({kNr_mq_open, {name.c_str(), create, 0600, of(attr)}, kOnce});
  if (mq >= 0) {
    for (int i = 0; i < 4; i++) j.judge({kNr_mq_timedsend, {mq, "hello", 5, 3, of(kNow)}, kOnce});
    CHECK(j.judge({kNr_mq_timedreceive, {mq, kFill, 32, kFill, of(kNow)}}) == 5);
    j.judge({kNr_mq_getsetattr, {mq, of(attr), kFill}});
    j.judge({kNr_mq_unlink, {name.c_str()}, kOnce});
    close(static_cast<int>(mq));
  }
}

TEST_CASE("fcntl") {
  Scratch s;
  Judge j;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  j.judge({kNr_fcntl, {s.fd, F_GETLK, of(lock)}, kLoose});
  j.judge({kNr_fcntl, {s.fd, F_SETLK, of(lock)}});
  j.judge({kNr_fcntl, {s.fd, F_SETLKW, of(lock)}});
  j.judge({kNr_fcntl, {s.fd, F_OFD_SETLK, of(lock)}, kMayFail});
  j.judge({kNr_fcntl, {s.fd, F_OFD_GETLK, of(lock)}, kLoose});
  j.judge({kNr_fcntl, {s.fd, F_SETOWN_EX, of(f_owner_ex{F_OWNER_PID, getpid()})}});
  j.judge({kNr_fcntl, {s.fd, F_GETOWN_EX, kFill}});
  j.judge({kNr_fcntl, {s.fd, 17, kFill}, kMayFail});
  j.judge({kNr_fcntl, {s.fd, F_GET_RW_HINT, kFill}});
  j.judge({kNr_fcntl, {s.fd, F_SET_RW_HINT, of(1ul)}});
}

TEST_CASE("ioctl on terminals, pipes and files") {
  Judge j;
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) {
    MESSAGE("skipped: no pseudo terminals here");
    return;
  }
  const auto get = [&](int fd, unsigned long cmd) { j.judge({kNr_ioctl, {fd, cmd, kFill}}); };
  const auto set = [&](int fd, unsigned long cmd, const Value& v) {
    j.judge({kNr_ioctl, {fd, cmd, v}});
  };
  set(master, TIOCSPTLCK, of(0));
  const int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  const int slave = static_cast<int>(j.judge({kNr_ioctl, {master, TIOCGPTPEER, flags}, kOnce}));
  REQUIRE(slave >= 0);
  get(slave, TCGETS);
  const Value now(j.bytes(2));
  for (unsigned long cmd : Commands{TCSETS, TCSETSW, TCSETSF}) set(slave, cmd, now);
  get(slave, TCGETS2);
  const Value now2(j.bytes(2));
  for (unsigned long cmd : Commands{TCSETS2, TCSETSW2, TCSETSF2}) set(slave, cmd, now2);
  get(slave, TCGETA);
  const Value old(j.bytes(2));
  for (unsigned long cmd : Commands{TCSETA, TCSETAW, TCSETAF}) set(slave, cmd, old);
  for (unsigned long cmd : Commands{TIOCOUTQ, TIOCGWINSZ, FIONREAD, TIOCGETD, TIOCGSOFTCAR,
                                    TIOCGEXCL, TIOCGDEV, TIOCGLCKTRMIOS}) {
    get(slave, cmd);
  }
  for (unsigned long cmd : Commands{TIOCGPTN, TIOCGPKT, TIOCGPTLCK, TIOCGPGRP}) get(master, cmd);
  set(slave, TIOCSWINSZ, of(winsize{24, 80, 0, 0}));
  set(slave, FIONBIO, of(0));
  set(slave, FIOASYNC, of(0));
  set(slave, TIOCSSOFTCAR, of(0));
  set(slave, TIOCSETD, of(0));
  set(master, TIOCPKT, of(0));
  j.judge({kNr_ioctl, {slave, static_cast<unsigned long>(TCFLSH), 0}});
  close(slave);
  close(master);

  Scratch s;
  for (unsigned long cmd : Commands{FIGETBSZ, FIONREAD, FIOQSIZE}) get(s.fd, cmd);
  for (unsigned long cmd :
       Commands{FS_IOC_GETFLAGS, FS_IOC_GETVERSION, FS_IOC_FSGETXATTR, FS_IOC_GETFSLABEL}) {
    j.judge({kNr_ioctl, {s.fd, cmd, kFill}, kLoose});
  }
  const int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  get(random, RNDGETENTCNT);
  close(random);
  const int pair = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  set(pair, FIOSETOWN, of(getpid()));
  set(pair, SIOCSPGRP, of(getpid()));
  for (unsigned long cmd : Commands{FIOGETOWN, SIOCGPGRP, TIOCOUTQ}) get(pair, cmd);
  close(pair);
}

}  // namespace
