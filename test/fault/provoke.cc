// SPDX-License-Identifier: Apache-2.0
//
// A program that causes a reason not to be moved, removes it again, and works correctly throughout. refusals_test.py
// uses it and queries om in between. All reasons are in one file: each is a short function.
//
//   provoke CODE [later]
//
//   prints            then waits for a line and
//   up                causes it (only with `later`)
//   caused            takes the cause away
//   cured             ends: prints "right", exit 5 (everything it did was right)
//
// VFORK, EXEC, INTERRUPTED, LIMIT and PLACE are not codes, but other things that can happen while a departure is
// prepared. Exit 77: this machine cannot provoke it.
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>

namespace {

constexpr size_t kBytes = 2 << 20;

[[noreturn]] void die(const char* what) {
  perror(what);
  _exit(1);
}

[[noreturn]] void skip(const char* what) {
  perror(what);
  _exit(77);
}

void* map(size_t bytes, int flags, int fd = -1, int protection = PROT_READ | PROT_WRITE) {
  void* at = mmap(nullptr, bytes, protection, flags, fd, 0);
  if (at == MAP_FAILED) skip("mmap");
  return at;
}

void unmap(void* at, size_t bytes) {
  if (munmap(at, bytes) != 0) die("munmap");
}

void wait_for(pid_t child) {
  if (waitpid(child, nullptr, 0) != child) die("waitpid");
}

// A child that lives until the write end of `hold` is closed.
pid_t child_until_closed(int (&hold)[2]) {
  if (pipe(hold) != 0) die("pipe");
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char c;
    close(hold[1]);
    _exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
  }
  return child;
}

using Undo = std::function<void()>;

Undo shared_writable() {
  auto* word = static_cast<volatile int*>(map(4096, MAP_SHARED | MAP_ANONYMOUS));
  static int s_hold[2];
  const pid_t child = child_until_closed(s_hold);
  *word = 42;
  return [word, child] {
    close(s_hold[1]);
    wait_for(child);
    if (*word != 42) die("shared word");
    unmap(const_cast<int*>(word), 4096);
  };
}

Undo shared_file() {
  const int fd = open("shared", O_RDWR | O_CREAT, 0600);
  if (fd < 0 || write(fd, "contents", 8) != 8) die("shared");
  void* at = map(4096, MAP_SHARED, fd, PROT_READ);
  return [at, fd] {
    if (memcmp(at, "contents", 8) != 0) die("contents");
    unmap(at, 4096);
    close(fd);
  };
}

Undo device_mapped() {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  const auto event = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  if (event < 0) skip("perf_event_open");
  void* at = map(8192, MAP_SHARED, event);
  return [at, event] {
    unmap(at, 8192);
    close(event);
  };
}

Undo io_uring() {
  io_uring_params parameters{};
  const auto ring = static_cast<int>(syscall(SYS_io_uring_setup, 4, &parameters));
  if (ring < 0) skip("io_uring_setup");
  return [ring] { close(ring); };
}

Undo aio() {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 4, &context) != 0) skip("io_setup");
  return [context] {
    if (syscall(SYS_io_destroy, context) != 0) die("io_destroy");
  };
}

// A child is the tracer; it detaches when the pipe is closed.
Undo traced() {
  static int s_hold[2], s_ready[2];
  if (pipe(s_hold) != 0 || pipe(s_ready) != 0) die("pipe");
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  const pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(s_hold[1]);
    char c = ptrace(PTRACE_SEIZE, parent, nullptr, nullptr) == 0;
    if (write(s_ready[1], &c, 1) != 1) _exit(1);
    _exit(read(s_hold[0], &c, 1) == 0 ? 0 : 1);  // its end detaches
  }
  char c = 0;
  if (read(s_ready[0], &c, 1) != 1 || c != 1) skip("ptrace");
  return [child] {
    close(s_hold[1]);
    wait_for(child);
  };
}

// A separate thread installs the filter and ends with it.
Undo seccomp() {
  static int s_hold[2], s_filtered[2];
  if (pipe(s_hold) != 0 || pipe(s_filtered) != 0) die("pipe");
  static std::thread s_thread;
  s_thread = std::thread([] {
    sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    sock_fprog program{1, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
    char c = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (write(s_filtered[1], &c, 1) != 1 || read(s_hold[0], &c, 1) != 0) die("pipe");
  });
  char c = 0;
  if (read(s_filtered[0], &c, 1) != 1) die("read");
  if (c != 1) skip("seccomp");
  return [] {
    close(s_hold[1]);
    s_thread.join();
  };
}

Undo not_dumpable() {
  if (prctl(PR_SET_DUMPABLE, 0) != 0) die("PR_SET_DUMPABLE");
  return [] {
    if (prctl(PR_SET_DUMPABLE, 1) != 0) die("PR_SET_DUMPABLE");
  };
}

int hold_on(void*) {
  for (;;) pause();
}

Undo shared_mm() {
  static char s_stack[65536];
  const pid_t child = clone(hold_on, s_stack + sizeof s_stack, CLONE_VM | SIGCHLD, nullptr);
  if (child < 0) die("clone");
  return [child] {
    kill(child, SIGKILL);
    wait_for(child);
  };
}

// A thread waits for a child in its memory.
Undo vfork_child() {
  static int s_hold[2], s_runs[2];
  static char s_stack[65536];
  if (pipe(s_hold) != 0 || pipe(s_runs) != 0) die("pipe");
  static std::thread s_thread;
  s_thread = std::thread([] {
    auto child = [](void*) -> int {
      char c = 1;
      close(s_hold[1]);  // in its own descriptor table
      _exit(write(s_runs[1], &c, 1) == 1 && read(s_hold[0], &c, 1) == 0 ? 0 : 1);
    };
    wait_for(clone(child, s_stack + sizeof s_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr));
  });
  char c = 0;
  if (read(s_runs[0], &c, 1) != 1) die("child");
  return [] {
    close(s_hold[1]);
    s_thread.join();
  };
}

Undo fd_table() {
  static std::atomic<int> s_state{0};
  static std::thread s_thread([] {
    s_state = unshare(CLONE_FILES) == 0 ? 1 : 2;
    while (s_state == 1) usleep(1000);
  });
  while (s_state == 0) usleep(1000);
  return [] {
    s_state = 2;
    s_thread.join();
  };
}

Undo pkeys() {
  const int key = pkey_alloc(0, 0);
  if (key < 0) skip("pkey_alloc");
  void* at = map(4096, MAP_PRIVATE | MAP_ANONYMOUS);
  if (pkey_mprotect(at, 4096, PROT_READ | PROT_WRITE, key) != 0) die("pkey_mprotect");
  return [at, key] {
    unmap(at, 4096);
    pkey_free(key);
  };
}

Undo hugetlb() {
  void* at = map(kBytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE);
  return [at] { unmap(at, kBytes); };
}

Undo uffd() {
  const auto fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  uffdio_api api{UFFD_API, 0, 0};
  if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0) skip("userfaultfd");
  void* at = map(4096, MAP_PRIVATE | MAP_ANONYMOUS);
  uffdio_register range{};
  range.range = {reinterpret_cast<uint64_t>(at), 4096};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (ioctl(fd, UFFDIO_REGISTER, &range) != 0) die("UFFDIO_REGISTER");
  return [at, fd] {
    unmap(at, 4096);
    close(fd);
  };
}

// Descriptors spaced so that libom's do not fit between any two.
Undo fd_limit() {
  const rlimit few{512, 512};
  if (setrlimit(RLIMIT_NOFILE, &few) != 0) die("setrlimit");
  static constexpr int kDistance = 60;
  for (int fd = kDistance; fd < 512; fd += kDistance) {
    if (dup2(STDIN_FILENO, fd) != fd) die("dup2");
  }
  return [] {
    for (int fd = kDistance; fd < 512; fd += kDistance) {
      if (close(fd) != 0) die("close");
    }
  };
}

Undo gs_base() {
  static uint64_t s_area[16];
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, s_area) != 0) die("ARCH_SET_GS");
  return [] {
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, 0) != 0) die("ARCH_SET_GS");
  };
}

Undo own_traps() {
  if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0) die("PR_SET_TSC");
  return [] {
    if (prctl(PR_SET_TSC, PR_TSC_ENABLE) != 0) die("PR_SET_TSC");
  };
}

Undo cpu_timer() {
  const itimerval far{{1000, 0}, {1000, 0}}, off{};
  if (setitimer(ITIMER_VIRTUAL, &far, nullptr) != 0) die("setitimer");
  return [off] {
    if (setitimer(ITIMER_VIRTUAL, &off, nullptr) != 0) die("setitimer");
  };
}

// A thread waits as in vfork, which no tracer can interrupt, while its child has memory of its own.
Undo uninterruptible() {
  static int s_hold[2], s_runs[2];
  if (pipe(s_hold) != 0 || pipe(s_runs) != 0) die("pipe");
  static std::thread s_thread;
  s_thread = std::thread([] {
    const long child = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, 0);
    if (child == 0) {
      char c = 1;
      close(s_hold[1]);
      if (write(s_runs[1], &c, 1) != 1) _exit(1);
      _exit(read(s_hold[0], &c, 1) == 0 ? 0 : 1);
    }
    wait_for(static_cast<pid_t>(child));
  });
  char c = 0;
  if (read(s_runs[0], &c, 1) != 1) die("child");
  return [] {
    close(s_hold[1]);
    s_thread.join();
  };
}

// Whether the thread is in that system call.
bool is_inside(pid_t tid, long nr) {
  const std::string path = "/proc/self/task/" + std::to_string(tid) + "/syscall";
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) die("syscall of a thread");
  long now = -1;
  const bool known = fscanf(file, "%ld", &now) == 1;
  fclose(file);
  return known && now == nr;
}

// A thread is inside vmsplice, whose pages could not be another node's: the pipe is full.
Undo in_call() {
  static int s_pipe[2];
  static char s_full[65536];
  if (pipe2(s_pipe, O_NONBLOCK) != 0) die("pipe");
  while (write(s_pipe[1], s_full, sizeof s_full) > 0) continue;
  if (fcntl(s_pipe[1], F_SETFL, 0) != 0) die("F_SETFL");
  static std::thread s_thread;
  static std::atomic<pid_t> s_tid{0};
  s_thread = std::thread([] {
    s_tid = gettid();
    const iovec part{s_full, 1};
    if (vmsplice(s_pipe[1], &part, 1, 0) != 1) die("vmsplice");
  });
  while (s_tid == 0 || !is_inside(s_tid, SYS_vmsplice)) sched_yield();
  return [] {
    while (read(s_pipe[0], s_full, sizeof s_full) > 0) continue;
    s_thread.join();
  };
}

// The number in libom's anchor that tells nodes whether they can serve it (found by an ELF note).
uint32_t* keeper_gate_abi() {
  uint32_t* found = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* to) {
        if (strstr(info->dlpi_name, "libom.so") == nullptr) return 0;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& part = info->dlpi_phdr[i];
          if (part.p_type != PT_NOTE) continue;
          const auto* at = reinterpret_cast<const char*>(info->dlpi_addr + part.p_vaddr);
          const char* const end = at + part.p_filesz;
          while (at < end) {
            ElfW(Nhdr) note;
            memcpy(&note, at, sizeof note);
            const char* name = at + sizeof note;
            const char* value = name + ((note.n_namesz + 3) & ~3u);
            at = value + ((note.n_descsz + 3) & ~3u);
            constexpr uint32_t kAnchor = 1;
            if (strcmp(name, "openMosix") != 0 || note.n_type != kAnchor) continue;
            int64_t distance = 0;
            memcpy(&distance, value, sizeof distance);
            constexpr size_t kKeeperGateAbi = 12;  // of the Anchor
            *static_cast<uint32_t**>(to) =
                reinterpret_cast<uint32_t*>(const_cast<char*>(value) + distance + kKeeperGateAbi);
          }
        }
        return 1;
      },
      &found);
  return found;
}

void set_keeper_gate_abi(uint32_t value) {
  uint32_t* at = keeper_gate_abi();
  if (at == nullptr) die("libom's anchor");
  void* page = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(at) & ~uintptr_t{4095});
  if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0) die("mprotect");
  *at = value;
}

// Its libom belongs to another release.
Undo version() {
  const uint32_t right = *keeper_gate_abi();
  set_keeper_gate_abi(right + 7);
  return [right] { set_keeper_gate_abi(right); };
}

// The saved id is still root's: the program could take it again.
Undo setuid() {
  auto change = [](uid_t saved) {
    if (setresuid(65534, 65534, saved) != 0) skip("setresuid");
    if (prctl(PR_SET_DUMPABLE, 1) != 0) die("PR_SET_DUMPABLE");  // which changing ids may clear
  };
  if (setresgid(65534, 65534, 65534) != 0) skip("setresgid");
  change(0);
  return [change] { change(65534); };
}

// Executes another program, which goes on with "caused".
Undo exec_again() {
  execl("/proc/self/exe", "provoke", "NOTHING", nullptr);
  die("exec");
}

// There is room for what is mapped now, but not for what comes later.
Undo limit() {
  constexpr rlim_t kRoom = rlim_t{512} << 20;
  const rlimit low{kRoom, RLIM_INFINITY};
  if (setrlimit(RLIMIT_DATA, &low) != 0) die("setrlimit");
  return [] {
    void* at = mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED || errno != ENOMEM) die("a limit that does not hold");
  };
}

// Two threads wait in calls that only a signal ends, with an error: SIGUSR1, and SIGUSR2 through the call's mask.
Undo interrupted_call() {
  static sigset_t s_usr1, s_usr2;
  sigemptyset(&s_usr1);
  sigaddset(&s_usr1, SIGUSR1);
  sigemptyset(&s_usr2);
  sigaddset(&s_usr2, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &s_usr1, nullptr);
  pthread_sigmask(SIG_BLOCK, &s_usr2, nullptr);
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGUSR2, &action, nullptr);
  static std::array<std::thread, 2> s_threads;
  static std::array<std::atomic<pid_t>, 2> s_tids;
  auto wait_in = [](size_t i) {
    const int set = epoll_create1(0);
    epoll_event event;
    if (i == 0) pthread_sigmask(SIG_UNBLOCK, &s_usr1, nullptr);
    s_tids[i] = gettid();
    const int n =
        i == 0 ? epoll_wait(set, &event, 1, -1) : epoll_pwait(set, &event, 1, -1, &s_usr1);
    if (n != -1 || errno != EINTR) die("epoll_wait");
  };
  for (size_t i = 0; i < s_threads.size(); ++i) {
    s_threads[i] = std::thread(wait_in, i);
    while (s_tids[i] == 0 || !is_inside(s_tids[i], i == 0 ? SYS_epoll_wait : SYS_epoll_pwait))
      sched_yield();
  }
  return [] {
    for (std::thread& thread : s_threads) thread.join();
  };
}

// Occupies all addresses near the libraries.
Undo place() {
  constexpr size_t kNear = size_t{200} << 30;
  void* at = map(kNear, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, PROT_NONE);
  return [at] { unmap(at, kNear); };
}

// No cause in the process: the refusal comes from the target or from outside.
Undo nothing() {
  return [] {};
}

void line_from_driver() {
  char c;
  do {
    if (read(STDIN_FILENO, &c, 1) != 1) die("end of the driver");
  } while (c != '\n');
}

void say(const char* text) { dprintf(STDOUT_FILENO, "%s\n", text); }

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, Undo (*)()> causes = {{"AIO", aio},
                                                    {"CPU_TIMER", cpu_timer},
                                                    {"DEVICE_MAPPED", device_mapped},
                                                    {"EXEC", exec_again},
                                                    {"FD_LIMIT", fd_limit},
                                                    {"FD_TABLE", fd_table},
                                                    {"GS_BASE", gs_base},
                                                    {"HUGETLB", hugetlb},
                                                    {"IN_CALL", in_call},
                                                    {"INTERRUPTED", interrupted_call},
                                                    {"IO_URING", io_uring},
                                                    {"LIMIT", limit},
                                                    {"NOT_DUMPABLE", not_dumpable},
                                                    {"NOTHING", nothing},
                                                    {"OWN_TRAPS", own_traps},
                                                    {"PKEYS", pkeys},
                                                    {"PLACE", place},
                                                    {"SECCOMP", seccomp},
                                                    {"SETUID", setuid},
                                                    {"SHARED_FILE", shared_file},
                                                    {"SHARED_MM", shared_mm},
                                                    {"SHARED_WRITABLE", shared_writable},
                                                    {"TRACED", traced},
                                                    {"UFFD", uffd},
                                                    {"UNINTERRUPTIBLE", uninterruptible},
                                                    {"VERSION", version},
                                                    {"VFORK", vfork_child}};
  const bool later = argc == 3 && !strcmp(argv[2], "later");
  const auto cause = argc == 2 || later ? causes.find(argv[1]) : causes.end();
  if (cause == causes.end()) return 2;
  if (later) {
    say("up");
    line_from_driver();
  }
  const Undo undo = cause->second();
  say("caused");
  line_from_driver();
  undo();
  say("cured");
  line_from_driver();
  say("right");
  return 5;
}
