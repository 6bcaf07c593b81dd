// SPDX-License-Identifier: Apache-2.0
//
// common/movable/preflight.h on living children: each reason is provoked, is the only one found, and goes away with its
// cause. Shared memory is in preflight_sharing_test.cc; what this CPU may lack, and `om check`, are in
// preflight_view_test.cc.
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <future>
#include <thread>

#include "common/proc/stat.h"
#include "test/unit/common/preflight_child.h"

namespace om {
namespace {

TEST_CASE("an idle child has no reason to stay") {
  Codes unexpected = baseline();
  for (const char* environment : {"SANITIZER", "SECCOMP", "TRACED"}) {
    if (unexpected.erase(environment) != 0)
      MESSAGE("the environment causes " << std::string(environment));
  }
  CHECK(unexpected.empty());
}

TEST_CASE("threads are no reason") {
  Child child({[] {
    for (int i = 0; i < 5; ++i) std::thread([] { pause(); }).detach();
    return 0;
  }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

// ---------------------------------------------------------------------------------- who is asked
// for

TEST_CASE("NO_SUCH_PROCESS") {
  Codes gone = {"NO_SUCH_PROCESS"};
  CHECK(names_of(preflight_process(0x3fffffff)) == gone);
  pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info{};
  REQUIRE(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(names_of(preflight_process(child)) == gone);  // ended, not yet reaped
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(names_of(preflight_process(child)) == gone);
  std::promise<pid_t> tid;
  std::promise<void> go;
  std::thread thread([&] {
    tid.set_value(gettid());
    go.get_future().wait();
  });
  CHECK(names_of(preflight_process(tid.get_future().get())) == gone);
  go.set_value();
  thread.join();
}

TEST_CASE("a process whose main thread has ended is looked at through another") {
  fake_libom();
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::thread([] {
      for (;;) pause();
    }).detach();
    syscall(SYS_exit, 0);
  }
  REQUIRE(child > 0);
  while (proc::read_stat(child)->state != 'Z') usleep(1000);
  CHECK(names_of(preflight_process(child)) == baseline());
  CHECK(kill(child, SIGKILL) == 0);
  CHECK(waitpid(child, nullptr, 0) == child);
}

TEST_CASE("PERMISSION") {
  if (is_root()) {
    Child child;
    CHECK(codes_seen_by_nobody(child.pid()) == Codes{"PERMISSION"});
  } else if (kill(1, 0) == 0 || !proc::read_stat(1)) {
    MESSAGE("skip: process 1 is this user's own or hidden");
  } else {
    CHECK(names_of(preflight_process(1)) == Codes{"PERMISSION"});
  }
}

TEST_CASE("a kernel thread") {
  Result<proc::Status> second = proc::read_status(2);
  if (!second || !second->kernel_thread) {
    MESSAGE("skip: process 2 is no kernel thread here");
    return;
  }
  CHECK(names_of(preflight_process(2)) == Codes{"NOT_PRELOADED"});
}

// -------------------------------------------------------------------------------------- programs

TEST_CASE("NOT_PRELOADED") {
  provoke(
      "NOT_PRELOADED", [] { return check(munmap(fake_libom(), kPage) == 0); },
      [] {
        return check(map_file(files().path("libom.so"), PROT_READ, MAP_PRIVATE, O_RDONLY) !=
                     MAP_FAILED);
      });
  // Other libraries do not count.
  Child child({[] {
    return check(munmap(fake_libom(), kPage) == 0 &&
                 map_file(files().page_file("libom.so.old"), PROT_READ, MAP_PRIVATE, O_RDONLY) !=
                     MAP_FAILED);
  }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == plus("NOT_PRELOADED"));
}

TEST_CASE("STATIC_BINARY, and not preloaded otherwise") {
  pid_t pid = 0;
  REQUIRE(start_program(files().write("static", tiny_program(true), 0755), pid) == 0);
  Codes codes = names_of(preflight_process(pid));
  CHECK(end_of(pid) == 0);
  codes.erase("SECCOMP");
  CHECK(codes == Codes{"STATIC_BINARY"});

  REQUIRE(start_program("/bin/sleep", pid) == 0);
  codes = names_of(preflight_process(pid));
  CHECK(end_of(pid) == 0);
  codes.erase("SECCOMP");
  CHECK(codes == Codes{"NOT_PRELOADED"});
}

TEST_CASE("a 32-bit program") {
  pid_t pid = 0;
  int err = start_program(files().write("narrow", tiny_program(false), 0755), pid);
  if (err != 0) {
    MESSAGE("skip: kernel without 32-bit programs: " << std::string(strerror(err)));
    waitpid(pid, nullptr, 0);
    return;
  }
  std::string detail = detail_of(pid, ReasonCode::kNotPreloaded);
  Codes codes = names_of(preflight_process(pid));
  int status = 0;
  if (waitpid(pid, &status, WNOHANG) == pid) {  // if it runs at all, it pauses for ever
    MESSAGE("skip: a 32-bit program ends here, wait status " << status);
    return;
  }
  codes.erase("SECCOMP");
  CHECK(detail == "it is a 32-bit program");
  CHECK(codes == Codes{"NOT_PRELOADED"});
  CHECK(end_of(pid) == 0);
}

TEST_CASE("SANITIZER") {
  if (baseline().count("SANITIZER") != 0) return;
  std::string path = files().page_file("libasan.so.8");
  provoke_mapping("SANITIZER", [&] { return map_file(path, PROT_READ, MAP_PRIVATE, O_RDONLY); });
  provoke_mapping("SANITIZER", [] {
    return mmap(reinterpret_cast<void*>(0x7fff8000), kPage, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  });
}

// ------------------------------------------------------------------------------- kernel interfaces

TEST_CASE("DEVICE_MAPPED") {
  // Anybody may map a TCP socket for zero-copy receive; the same goes for perf rings and packet rings.
  static UniqueFd fd;
  provoke_mapping(
      "DEVICE_MAPPED",
      [] {
        fd = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        return mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd.get(), 0);
      },
      true);
  perf_event_attr attr{};
  attr.size = sizeof attr;
  attr.type = PERF_TYPE_SOFTWARE;
  attr.config = PERF_COUNT_SW_TASK_CLOCK;
  attr.exclude_kernel = 1;
  provoke_mapping(
      "DEVICE_MAPPED",
      [&] {
        fd = UniqueFd(
            static_cast<int>(syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
        return mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
      },
      true);
  // /dev/zero is ordinary memory.
  Child child({[] {
    return check(map_file("/dev/zero", PROT_READ, MAP_PRIVATE, O_RDONLY) != MAP_FAILED);
  }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("IO_URING: by descriptor and by mapping") {
  static UniqueFd ring;
  static void* mapped;
  Child child({[] {
                 io_uring_params params{};
                 ring = UniqueFd(static_cast<int>(syscall(SYS_io_uring_setup, 4, &params)));
                 return check(ring.valid());
               },
               [] {
                 mapped = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, ring.get(), 0);
                 ring.reset();
                 return check(mapped != MAP_FAILED);
               },
               [] { return check(munmap(mapped, kPage) == 0); }});
  int err = child.next();
  if (err != 0) {
    MESSAGE("skip IO_URING: " << std::string(strerror(err)));
    return;
  }
  CHECK(names_of(preflight_process(child.pid())) == plus("IO_URING"));
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == plus("IO_URING"));
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("AIO") {
  static aio_context_t context;
  provoke(
      "AIO", [] { return check(syscall(SYS_io_setup, 1, &context) == 0); },
      [] { return check(syscall(SYS_io_destroy, context) == 0); }, true);
}

TEST_CASE("HUGETLB") {
  constexpr size_t kHuge = size_t{2} << 20;
  static void* address;
  // Without a reservation the mapping exists even if the pool is empty.
  provoke(
      "HUGETLB",
      [] {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE;
        address = mmap(nullptr, kHuge, PROT_READ, flags, -1, 0);
        return check(address != MAP_FAILED);
      },
      [] { return check(munmap(address, kHuge) == 0); }, true);
}

TEST_CASE("UFFD: by descriptor and by registered memory") {
  static UniqueFd fd;
  static void* memory;
  provoke(
      "UFFD",
      [] {
        fd = UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
        return check(fd.valid());
      },
      [] { return fd.reset(), 0; }, true);
  // The child registers and passes the descriptor to a process of its own, which keeps it.
  static pid_t server;
  provoke(
      "UFFD",
      [] {
        fd = UniqueFd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
        memory = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uffdio_api api{};
        api.api = UFFD_API;
        uffdio_register range{};
        range.range = {reinterpret_cast<uint64_t>(memory), kPage};
        range.mode = UFFDIO_REGISTER_MODE_MISSING;
        if (!fd || ioctl(fd.get(), UFFDIO_API, &api) != 0 ||
            ioctl(fd.get(), UFFDIO_REGISTER, &range) != 0) {
          return errno;
        }
        server = idle_fork();
        fd.reset();
        return check(server > 0);
      },
      [] { return end_of(server); }, true);
}

// ------------------------------------------------------------------------------------- protection

TEST_CASE("TRACED") {
  Child child;
  if (ptrace(PTRACE_SEIZE, child.pid(), 0, 0) != 0) {
    MESSAGE("skip TRACED: " << std::string(strerror(errno)));
    return;
  }
  CHECK(names_of(preflight_process(child.pid())) == plus("TRACED"));
  CHECK(detail_of(child.pid(), ReasonCode::kTraced) == "by process " + std::to_string(getpid()));
  REQUIRE(ptrace(PTRACE_INTERRUPT, child.pid(), 0, 0) == 0);
  REQUIRE(waitpid(child.pid(), nullptr, __WALL) == child.pid());
  CHECK(names_of(preflight_process(child.pid())) == plus("TRACED"));
  REQUIRE(ptrace(PTRACE_DETACH, child.pid(), 0, 0) == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("STOPPED") {
  Child child;
  int status = 0;
  REQUIRE(kill(child.pid(), SIGSTOP) == 0);
  REQUIRE(waitpid(child.pid(), &status, WUNTRACED) == child.pid());
  REQUIRE(WIFSTOPPED(status));
  CHECK(names_of(preflight_process(child.pid())) == plus("STOPPED"));
  REQUIRE(kill(child.pid(), SIGCONT) == 0);
  REQUIRE(waitpid(child.pid(), &status, WCONTINUED) == child.pid());
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("SECCOMP: of one thread, until it ends") {
  if (baseline().count("SECCOMP") != 0) return;
  static std::promise<int> installed;
  static std::promise<void> end;
  static std::thread thread;
  provoke(
      "SECCOMP",
      [] {
        thread = std::thread([] {
          sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
          sock_fprog program = {1, allow};
          bool good = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
          installed.set_value(check(good));
          end.get_future().wait();
        });
        return installed.get_future().get();
      },
      [] {
        end.set_value();
        thread.join();
        // join returns slightly before the kernel removes the thread from the list.
        while (proc::list_tasks(getpid())->size() != 1) usleep(1000);
        return 0;
      });
}

TEST_CASE("SETUID") {
  if (!is_root()) {
    MESSAGE("skip: needs root to change ids");
    return;
  }
  provoke(
      "SETUID", [] { return check(setresuid(kNobody, 0, 0) == 0); },
      [] { return check(setresuid(0, 0, 0) == 0); });
  provoke(
      "SETUID", [] { return check(setresgid(0, 0, kNobody) == 0); },
      [] { return check(setresgid(0, 0, 0) == 0); });
  // Only one thread, bypassing the C library, which would change all of them.
  Child child({[] {
    static std::promise<int> done;
    std::thread([] {
      done.set_value(check(syscall(SYS_setresgid, kNobody, kNobody, kNobody) == 0));
      pause();
    }).detach();
    return done.get_future().get();
  }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == plus("SETUID"));
  CHECK(detail_of(child.pid(), ReasonCode::kSetuid) == "its threads differ");
}

TEST_CASE("NOT_DUMPABLE: seen by the owner and by root") {
  Child child({become_nobody, [] { return check(prctl(PR_SET_DUMPABLE, 0) == 0); },
               [] { return check(prctl(PR_SET_DUMPABLE, 1) == 0); }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
  REQUIRE(child.next() == 0);
  Codes seen = codes_seen_by_nobody(child.pid());
  CHECK(seen.count("NOT_DUMPABLE") == 1);
  CHECK(seen.count("PERMISSION") == 0);
  if (is_root()) CHECK(names_of(preflight_process(child.pid())) == plus("NOT_DUMPABLE"));
  REQUIRE(child.next() == 0);
  CHECK(codes_seen_by_nobody(child.pid()) == baseline());
}

TEST_CASE("FD_LIMIT") {
  static UniqueFd top;
  constexpr int kLimit = 130;
  provoke(
      "FD_LIMIT",
      [] {
        rlimit limit = {kLimit, kLimit};
        top = UniqueFd(fcntl(0, F_DUPFD_CLOEXEC, kLimit - 10));
        return check(top.valid() && setrlimit(RLIMIT_NOFILE, &limit) == 0);
      },
      [] { return top.reset(), 0; });
}

TEST_CASE("PKEYS") {
  static void* address;
  provoke(
      "PKEYS",
      [] {
        int key = pkey_alloc(0, 0);
        address = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return check(key >= 0 && pkey_mprotect(address, kPage, PROT_READ, key) == 0);
      },
      [] { return check(munmap(address, kPage) == 0); }, true);
}

}  // namespace
}  // namespace om
