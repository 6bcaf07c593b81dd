// SPDX-License-Identifier: Apache-2.0
//
// common/proc/status.h and process.h: parsers on given text, and this process and its threads as
// the system calls describe them.
#include <doctest/doctest.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <string>
#include <thread>

#include "common/base/unique_fd.h"
#include "common/proc/process.h"
#include "common/proc/status.h"

namespace om::proc {
namespace {

constexpr pid_t kNoSuchPid = 0x3fffffff;

constexpr std::string_view kText =
    "Name:\ta\\nb\\\\c\n"
    "Umask:\t0022\n"
    "State:\tT (stopped)\n"
    "Tgid:\t41\n"
    "Pid:\t42\n"
    "PPid:\t7\n"
    "TracerPid:\t99\n"
    "Uid:\t1\t2\t3\t4294967295\n"
    "Gid:\t5\t6\t7\t8\n"
    "FDSize:\t64\n"
    "Groups:\t10 20 \n"
    "NSpid:\t42\t3\n"
    "Kthread:\t0\n"
    "VmSize:\t    3060 kB\n"
    "VmRSS:\t    1604 kB\n"
    "Threads:\t5\n"
    "SigPnd:\t0000000000000001\n"
    "ShdPnd:\t8000000000000000\n"
    "SigBlk:\t0000000000010000\n"
    "SigIgn:\t0000000000001000\n"
    "SigCgt:\t00000001800004e0\n"
    "CapPrm:\t000001fffffffffe\n"
    "CapEff:\t000001ffffffffff\n"
    "NoNewPrivs:\t1\n"
    "Seccomp:\t2\n"
    "x86_Thread_features:\tshstk wrss \n"
    "x86_Thread_features_locked:\tshstk wrss \n";

// Where the line of that name starts in kText, and its length.
std::pair<size_t, size_t> line_of(std::string_view name) {
  std::string start("\n");
  start.append(name).append(":");
  size_t at = kText.find(start) + 1;
  return {at, kText.find('\n', at) - at + 1};
}

// kText with one line replaced.
std::string with(std::string_view name, std::string_view value) {
  auto [at, length] = line_of(name);
  std::string line(name);
  line.append(":\t").append(value).append("\n");
  return std::string(kText).replace(at, length, line);
}

std::string without(std::string_view name) {
  auto [at, length] = line_of(name);
  return std::string(kText).erase(at, length);
}

TEST_CASE("status: every field") {
  Result<Status> status = parse_status(kText);
  REQUIRE(status.ok());
  CHECK(status->name == "a\nb\\c");
  CHECK(status->state == 'T');
  CHECK(status->tgid == 41);
  CHECK(status->pid == 42);
  CHECK(status->ppid == 7);
  CHECK(status->tracer_pid == 99);
  CHECK(status->uid == std::array<uint32_t, 4>{1, 2, 3, 4294967295u});
  CHECK(status->gid == std::array<uint32_t, 4>{5, 6, 7, 8});
  CHECK(status->groups == std::vector<uint32_t>{10, 20});
  CHECK(status->ns_pids == std::vector<pid_t>{42, 3});
  CHECK_FALSE(status->kernel_thread);
  CHECK(status->vm_size_bytes == 3060 * 1024);
  CHECK(status->vm_rss_bytes == 1604 * 1024);
  CHECK(status->threads == 5);
  CHECK(status->sig_pending == 1);
  CHECK(status->sig_pending_shared == uint64_t{1} << 63);
  CHECK(status->sig_blocked == 0x10000);
  CHECK(status->sig_ignored == 0x1000);
  CHECK(status->sig_caught == 0x1800004e0);
  CHECK(status->cap_permitted == 0x1fffffffffe);
  CHECK(status->cap_effective == 0x1ffffffffff);
  CHECK(status->no_new_privs);
  CHECK(status->seccomp == 2);
  CHECK(status->shadow_stack);
}

TEST_CASE("status: lines that some kernels lack keep their default") {
  for (const char* name : {"TracerPid", "Groups", "NSpid", "Kthread", "SigPnd", "NoNewPrivs",
                           "Seccomp", "CapPrm", "CapEff"}) {
    CHECK_MESSAGE(parse_status(without(name)).ok(), name);
  }
  Result<Status> plain = parse_status(without("x86_Thread_features"));
  REQUIRE(plain.ok());
  CHECK_FALSE(plain->shadow_stack);
  CHECK_FALSE(parse_status(with("x86_Thread_features", "wrss"))->shadow_stack);
  CHECK_FALSE(parse_status(with("x86_Thread_features", ""))->shadow_stack);
}

TEST_CASE("status: kernel threads and zombies have no memory lines") {
  CHECK(parse_status(without("VmSize"))->kernel_thread);
  CHECK(parse_status(with("Kthread", "1"))->kernel_thread);
  std::string zombie = with("State", "Z (zombie)");
  size_t at = zombie.find("VmSize");
  zombie.erase(at, zombie.find("Threads") - at);
  REQUIRE(parse_status(zombie).ok());
  CHECK_FALSE(parse_status(zombie)->kernel_thread);
  CHECK(parse_status(zombie)->state == 'Z');
}

TEST_CASE("status: what is missing or not as documented is an error") {
  CHECK_FALSE(parse_status("").ok());
  CHECK_FALSE(parse_status("no colon here\n").ok());
  for (const char* name : {"State", "Tgid", "Pid", "Uid", "Gid", "Threads"}) {
    CHECK_MESSAGE(!parse_status(without(name)).ok(), name);
    CHECK_MESSAGE(!parse_status(with(name, "")).ok(), name);
  }
  CHECK_FALSE(parse_status(with("Uid", "1 2 3")).ok());
  CHECK_FALSE(parse_status(with("Uid", "1 2 3 -4")).ok());
  CHECK_FALSE(parse_status(with("Pid", "12x")).ok());
  CHECK_FALSE(parse_status(with("Pid", "99999999999")).ok());
  CHECK_FALSE(parse_status(with("SigCgt", "10000000000000000")).ok());
  CHECK_FALSE(parse_status(with("NSpid", "1 b")).ok());
  CHECK_FALSE(parse_status(with("VmSize", "lots")).ok());
}

TEST_CASE("status: this process") {
  REQUIRE(prctl(PR_SET_NAME, "a b)(c") == 0);
  Result<Status> own = read_status(getpid());
  REQUIRE(own.ok());
  CHECK(own->name == "a b)(c");
  CHECK(own->state == 'R');
  CHECK(own->tgid == getpid());
  CHECK(own->pid == getpid());
  CHECK(own->ppid == getppid());
  CHECK(own->tracer_pid == 0);
  uid_t ruid, euid, suid;
  REQUIRE(getresuid(&ruid, &euid, &suid) == 0);
  CHECK(own->uid[0] == ruid);
  CHECK(own->uid[1] == euid);
  CHECK(own->uid[2] == suid);
  CHECK(own->gid[1] == getegid());
  CHECK(own->vm_size_bytes > own->vm_rss_bytes);
  CHECK(own->vm_rss_bytes > 0);
  CHECK_FALSE(own->kernel_thread);
  REQUIRE_FALSE(own->ns_pids.empty());
  CHECK(own->ns_pids.front() == getpid());
}

TEST_CASE("status: signals blocked and pending, by thread and by process") {
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
  REQUIRE(pthread_kill(pthread_self(), SIGUSR1) == 0);
  REQUIRE(kill(getpid(), SIGUSR2) == 0);
  Result<Status> own = read_status(getpid());
  REQUIRE(own.ok());
  CHECK((own->sig_blocked >> (SIGUSR1 - 1) & 1) == 1);
  CHECK(own->sig_pending == uint64_t{1} << (SIGUSR1 - 1));
  CHECK((own->sig_pending_shared >> (SIGUSR2 - 1) & 1) == 1);
  int taken = 0;
  sigwait(&set, &taken);
  sigwait(&set, &taken);
  REQUIRE(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  CHECK(read_status(getpid())->sig_pending == 0);
}

TEST_CASE("tasks: a thread appears under its own tid and goes") {
  std::promise<pid_t> tid;
  std::promise<void> go;
  std::thread thread([&] {
    tid.set_value(gettid());
    go.get_future().wait();
  });
  pid_t other = tid.get_future().get();
  Result<std::vector<pid_t>> tasks = list_tasks(getpid());
  REQUIRE(tasks.ok());
  CHECK(std::find(tasks->begin(), tasks->end(), other) != tasks->end());
  CHECK(std::find(tasks->begin(), tasks->end(), getpid()) != tasks->end());
  CHECK(std::is_sorted(tasks->begin(), tasks->end()));
  Result<Status> status = read_status(other);
  REQUIRE(status.ok());
  CHECK(status->pid == other);
  CHECK(status->tgid == getpid());
  go.set_value();
  thread.join();
  CHECK(list_tasks(kNoSuchPid).error().err == ESRCH);
  CHECK(read_status(kNoSuchPid).error().err == ESRCH);
}

TEST_CASE("processes and children") {
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  REQUIRE(child > 0);
  Result<std::vector<pid_t>> all = list_processes();
  REQUIRE(all.ok());
  CHECK(std::find(all->begin(), all->end(), child) != all->end());
  CHECK(std::find(all->begin(), all->end(), getpid()) != all->end());
  Result<std::vector<pid_t>> children = list_children(getpid());
  if (children.ok()) {
    CHECK(*children == std::vector<pid_t>{child});
  } else {
    CHECK(children.error().err == ENOENT);
    MESSAGE("skip: kernel without task/TID/children");
  }
  CHECK(kill(child, SIGKILL) == 0);
  CHECK(waitpid(child, nullptr, 0) == child);
  CHECK(list_tasks(child).error().err == ESRCH);
}

TEST_CASE("descriptors with their targets and flags") {
  UniqueFd file(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
  UniqueFd null(open("/dev/null", O_WRONLY | O_APPEND));
  REQUIRE(file.valid());
  REQUIRE(null.valid());
  Result<std::vector<FdEntry>> fds = list_fds(getpid());
  REQUIRE(fds.ok());
  auto find = [&](int fd) {
    return std::find_if(fds->begin(), fds->end(),
                        [&](const FdEntry& entry) { return entry.fd == fd; });
  };
  REQUIRE(find(null.get()) != fds->end());
  CHECK(find(null.get())->target == "/dev/null");
  REQUIRE(find(file.get()) != fds->end());
  Result<FdInfo> info = read_fdinfo(getpid(), null.get());
  REQUIRE(info.ok());
  CHECK((info->flags & O_ACCMODE) == O_WRONLY);
  CHECK((info->flags & O_APPEND) != 0);
  CHECK((info->flags & O_CLOEXEC) == 0);
  char byte;
  REQUIRE(read(file.get(), &byte, 1) == 1);
  info = read_fdinfo(getpid(), file.get());
  REQUIRE(info.ok());
  CHECK(info->pos == 1);
  CHECK((info->flags & O_ACCMODE) == O_RDONLY);
  CHECK((info->flags & O_CLOEXEC) != 0);
  int number = null.get();
  null.reset();
  CHECK(read_fdinfo(getpid(), number).error().err == ENOENT);
  CHECK(list_fds(kNoSuchPid).error().err == ESRCH);
  CHECK_FALSE(parse_fdinfo("pos:\t0\n").ok());
  CHECK_FALSE(parse_fdinfo("flags:\t09\n").ok());
}

TEST_CASE("limits") {
  Result<Limits> limits = read_limits(getpid());
  REQUIRE(limits.ok());
  rlimit own{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &own) == 0);
  CHECK((*limits)[RLIMIT_NOFILE].rlim_cur == own.rlim_cur);
  CHECK((*limits)[RLIMIT_NOFILE].rlim_max == own.rlim_max);
  CHECK(read_limits(kNoSuchPid).error().err == ESRCH);
}

TEST_CASE("auxiliary vector") {
  Result<Auxv> auxv = read_auxv(getpid());
  REQUIRE(auxv.ok());
  for (uint64_t type : {AT_SYSINFO_EHDR, AT_PAGESZ, AT_PHDR, AT_SECURE, AT_RANDOM}) {
    REQUIRE(auxv->find(type).has_value());
    CHECK(*auxv->find(type) == getauxval(type));
  }
  CHECK_FALSE(auxv->find(0xdeadbeef).has_value());
  CHECK_FALSE(parse_auxv("").ok());
  CHECK_FALSE(parse_auxv(std::string(15, '\1')).ok());
  CHECK_FALSE(parse_auxv(std::string(32, '\1')).ok());
  CHECK(parse_auxv(std::string(16, '\0'))->entries().empty());
}

TEST_CASE("command line and environment") {
  CHECK(parse_strings("").empty());
  CHECK(parse_strings(std::string_view("a\0", 2)) == std::vector<std::string>{"a"});
  CHECK(parse_strings("a") == std::vector<std::string>{"a"});
  CHECK(parse_strings(std::string_view("a\0\0b", 4)) == std::vector<std::string>{"a", "", "b"});
  Result<std::vector<std::string>> line = read_cmdline(getpid());
  REQUIRE(line.ok());
  REQUIRE_FALSE(line->empty());
  CHECK((*line)[0] == program_invocation_name);

  // A child with an environment of its own, which it keeps until its input ends. `started` ends at
  // exec.
  int pipe_fds[2], started_fds[2];
  REQUIRE(pipe2(pipe_fds, O_CLOEXEC) == 0);
  REQUIRE(pipe2(started_fds, O_CLOEXEC) == 0);
  UniqueFd in(pipe_fds[0]), out(pipe_fds[1]), started(started_fds[0]), starting(started_fds[1]);
  pid_t child = fork();
  if (child == 0) {
    dup2(in.get(), 0);
    const char* argv[] = {"cat", "-", nullptr};
    const char* envp[] = {"A=1", "EMPTY=", nullptr};
    execve("/bin/cat", const_cast<char**>(argv), const_cast<char**>(envp));
    _exit(1);
  }
  REQUIRE(child > 0);
  starting.reset();
  char none;
  REQUIRE(read(started.get(), &none, 1) == 0);
  Result<std::vector<std::string>> environ_strings = read_environ(child);
  REQUIRE(environ_strings.ok());
  CHECK(*environ_strings == std::vector<std::string>{"A=1", "EMPTY="});
  CHECK(*read_cmdline(child) == std::vector<std::string>{"cat", "-"});
  out.reset();
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

}  // namespace
}  // namespace om::proc
