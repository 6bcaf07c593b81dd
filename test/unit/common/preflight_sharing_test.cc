// SPDX-License-Identifier: Apache-2.0
//
// common/movable/preflight.h and proc/sharers.h: memory that others hold too. Shared memory is a reason to stay only
// while somebody else has it; a shared file always if the process can write to it, else if somebody can change it.
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include <atomic>
#include <thread>

#include "common/proc/sharers.h"
#include "test/unit/common/preflight_child.h"

namespace om {
namespace {

using proc::MapKind;

TEST_CASE("SHARED_WRITABLE: files") {
  std::string path = files().page_file("data");
  provoke_mapping("SHARED_WRITABLE",
                  [&] { return map_file(path, PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR); });
  provoke_mapping("SHARED_WRITABLE",
                  [&] { return map_file(path, PROT_WRITE, MAP_SHARED, O_RDWR); });
  Child child({[&] {
    return check(map_file(path, PROT_READ | PROT_WRITE, MAP_PRIVATE, O_RDWR) != MAP_FAILED);
  }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("SHARED_WRITABLE: POSIX shared memory is a file") {
  std::string name = "/om-preflight-test-" + std::to_string(getpid());
  UniqueFd fd(shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  REQUIRE(fd.valid());
  REQUIRE(shm_unlink(name.c_str()) == 0);
  REQUIRE(ftruncate(fd.get(), kPage) == 0);
  provoke_mapping("SHARED_WRITABLE", [&] {
    return mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  });
}

TEST_CASE("SHARED_WRITABLE: POSIX shared memory without a name only with another process") {
  auto map = [](const std::string& other) {
    const std::string name = "/om-preflight-test-" + std::to_string(getpid());
    UniqueFd fd(shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
    void* at = MAP_FAILED;
    if (fd && ftruncate(fd.get(), kPage) == 0)
      at = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (!other.empty() && link(("/dev/shm" + name).c_str(), other.c_str()) != 0) return errno;
    return check(shm_unlink(name.c_str()) == 0 && at != MAP_FAILED);
  };
  static std::string other;
  other = "/dev/shm/om-preflight-test-too-" + std::to_string(getpid());
  Child alone({[&] { return map(""); }});
  REQUIRE(alone.next() == 0);
  CHECK(names_of(preflight_process(alone.pid())) == baseline());
  Child named({[&] { return map(other); }});
  REQUIRE(named.next() == 0);
  CHECK(names_of(preflight_process(named.pid())) == plus("SHARED_WRITABLE"));
  REQUIRE(unlink(other.c_str()) == 0);
  CHECK(names_of(preflight_process(named.pid())) == baseline());
}

TEST_CASE("SHARED_WRITABLE: not files that are written back now and then") {
  const std::string folder = files().path("monitoring"), file = files().page_file("monitoring1");
  REQUIRE(setenv("OM_LAZY_SHARED", (files().path("other*") + ":" + folder + "[0-9]").c_str(), 1) ==
          0);
  Child child({[&] {
    return check(map_file(file, PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR) != MAP_FAILED);
  }});
  REQUIRE(child.next() == 0);
  const ProcessReport report = inspect_process(child.pid());
  unsetenv("OM_LAZY_SHARED");
  CHECK(names_of(report.reasons) == baseline());
  CHECK(report.lazy_shared.size() == 1);
  CHECK(names_of(preflight_process(child.pid())) == plus("SHARED_WRITABLE"));
}

// Steps: alone with the memory, shared with another process, alone again.
void provoke_sharing(MapKind kind, const Step& map, const std::function<pid_t()>& share,
                     const std::string& verb) {
  static pid_t other;
  Child child({map, [&] { return check((other = share()) > 0); }, [] { return end_of(other); }});
  const int err = child.next();
  if (err == ENOSYS) {
    MESSAGE("skip: kernel without such memory");
    return;
  }
  REQUIRE_MESSAGE(err == 0, std::string(strerror(err)));
  ProcessReport report = inspect_process(child.pid());
  CHECK(names_of(report.reasons) == baseline());
  REQUIRE(report.lone_shared.size() == 1);
  CHECK(report.lone_shared[0].kind == kind);
  REQUIRE(child.next() == 0);
  report = inspect_process(child.pid());
  CHECK(names_of(report.reasons) == plus("SHARED_WRITABLE"));
  CHECK(report.lone_shared.empty());
  CHECK(detail_of(child.pid(), ReasonCode::kSharedWritable).find(verb) != std::string::npos);
  REQUIRE(child.next() == 0);
  report = inspect_process(child.pid());
  CHECK(names_of(report.reasons) == baseline());
  CHECK(report.lone_shared.size() == 1);
}

TEST_CASE("SHARED_WRITABLE: anonymous memory only with another process") {
  auto map = [] {
    return check(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
                 MAP_FAILED);
  };
  provoke_sharing(MapKind::kAnonShared, map, idle_fork, ", mapped by process ");
}

// A memfd held only by its mapping, and by its descriptor while `memory` is open.
int map_memfd(UniqueFd& memory) {
  memory = UniqueFd(memfd_create("pool", MFD_CLOEXEC));
  return check(ftruncate(memory.get(), 2 * kPage) == 0 &&
               mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0) !=
                   MAP_FAILED);
}

TEST_CASE("SHARED_WRITABLE: memfd that another process maps") {
  auto map = [] {
    UniqueFd memory;
    return map_memfd(memory);
  };
  provoke_sharing(MapKind::kMemFd, map, idle_fork, ", mapped by process ");
}

TEST_CASE("SHARED_WRITABLE: memfd that another process has open") {
  // CLONE_FILES without the memory: exec drops the mapping, but the descriptor stays.
  static pid_t other;
  files().write("static", tiny_program(true), 0755);
  auto share = [] {
    UniqueFd memory;
    if (int failed = map_memfd(memory)) return failed;
    fcntl(memory.get(), F_SETFD, 0);
    start_program(files().path("static"), other);
    return check(other > 0);
  };
  Child child({share, [] { return end_of(other); }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == plus("SHARED_WRITABLE"));
  CHECK(detail_of(child.pid(), ReasonCode::kSharedWritable).find(", open in process ") !=
        std::string::npos);
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("memory objects that the process sees in a second way move as such") {
  static UniqueFd memory;
  static void* again;
  auto open = [] { return map_memfd(memory); };
  auto twice = [] {
    again = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, memory.get(), 0);
    memory.reset();
    return check(again != MAP_FAILED);
  };
  auto once = [] { return check(munmap(again, kPage) == 0); };
  Child child({open, twice, once});
  for (const bool is_open : {true, false}) {
    REQUIRE(child.next() == 0);
    const ProcessReport report = inspect_process(child.pid());
    CHECK(names_of(report.reasons) == baseline());
    REQUIRE(report.objects.size() == 1);
    CHECK(report.objects[0].is_open == is_open);
  }
  REQUIRE(child.next() == 0);
  const ProcessReport report = inspect_process(child.pid());
  CHECK(names_of(report.reasons) == baseline());
  CHECK(report.objects.empty());
  CHECK(report.lone_shared.size() == 1);
}

TEST_CASE("SHARED_WRITABLE: a memfd that is sealed against writing") {
  static UniqueFd memory;
  auto seal = [] {
    memory = UniqueFd(memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    return check(ftruncate(memory.get(), kPage) == 0 &&
                 fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE) == 0 &&
                 mmap(nullptr, kPage, PROT_READ, MAP_SHARED, memory.get(), 0) != MAP_FAILED);
  };
  Child child({seal});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == plus("SHARED_WRITABLE"));
}

TEST_CASE("SHARED_WRITABLE: SysV memory only with another process") {
  auto map = [] {
    int segment = shmget(IPC_PRIVATE, kPage, 0600);
    bool good = segment >= 0 && shmat(segment, nullptr, 0) != reinterpret_cast<void*>(-1);
    shmctl(segment, IPC_RMID, nullptr);
    return check(good);
  };
  provoke_sharing(MapKind::kSysvShm, map, idle_fork, ", mapped by process ");
}

TEST_CASE("SHARED_WRITABLE: SysV memory of a process that cannot be looked at") {
  if (!is_root()) {
    MESSAGE("skip: needs root for a second user");
    return;
  }
  static int segment;
  segment = shmget(IPC_PRIVATE, kPage, 0666);
  if (segment < 0 && errno == ENOSYS) {
    MESSAGE("skip: kernel without System V shared memory");
    return;
  }
  REQUIRE(segment >= 0);
  auto attach = [] { return check(shmat(segment, nullptr, 0) != reinterpret_cast<void*>(-1)); };
  Child guest({become_nobody, attach});
  REQUIRE(guest.next() == 0);
  REQUIRE(guest.next() == 0);
  CHECK(codes_seen_by_nobody(guest.pid()) == baseline());
  {
    Child root({attach});
    REQUIRE(root.next() == 0);
    CHECK(codes_seen_by_nobody(guest.pid()) == plus("SHARED_WRITABLE"));
  }
  CHECK(codes_seen_by_nobody(guest.pid()) == baseline());
  CHECK(shmctl(segment, IPC_RMID, nullptr) == 0);
}

TEST_CASE("SHARED_FILE: files that the user can change, unless they can be leased") {
  std::string own = files().page_file("own", 0444);
  Child child(
      {[&] { return check(map_file(own, PROT_READ, MAP_SHARED, O_RDONLY) != MAP_FAILED); }});
  REQUIRE(child.next() == 0);
  ProcessReport report = inspect_process(child.pid());
  CHECK(names_of(report.reasons) == baseline());
  REQUIRE(report.to_lease.size() == 1);
  CHECK(report.to_lease[0].ends_with(own));
  REQUIRE(chmod(own.c_str(), 0644) == 0);
  {
    UniqueFd writer(open(own.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(writer.valid());
    report = inspect_process(child.pid());
    CHECK(names_of(report.reasons) == plus("SHARED_FILE"));
    CHECK(report.to_lease.empty());
  }
  CHECK(names_of(preflight_process(child.pid())) == baseline());
  std::string writable = files().page_file("writable");
  provoke_mapping("SHARED_FILE", [&] { return map_file(writable, PROT_READ, MAP_SHARED, O_RDWR); });
}

// A child of an ordinary user maps a file read-only and shared.
Codes codes_of_reader(
    const std::string& path, const Step& before = [] { return 0; }) {
  Child child({before, become_nobody, [&] {
                 return check(map_file(path, PROT_READ, MAP_SHARED, O_RDONLY) != MAP_FAILED);
               }});
  REQUIRE(child.next() == 0);
  REQUIRE(child.next() == 0);
  int err = child.next();
  REQUIRE_MESSAGE(err == 0, std::string(strerror(err)));
  return names_of(preflight_process(child.pid()));
}

TEST_CASE("SHARED_FILE: files of others are fine, unless they are open for writing or writable") {
  CHECK(codes_of_reader("/etc/passwd") == baseline());
  CHECK(codes_of_reader("/usr/bin/env") == baseline());
  if (!is_root()) {
    MESSAGE("skip: the rest needs root for a second user");
    return;
  }
  std::string path = files().page_file("others", 0644);
  CHECK(codes_of_reader(path) == baseline());
  // Opened for writing while that is still possible.
  CHECK(codes_of_reader(path, [&] { return check(open(path.c_str(), O_WRONLY) >= 0); }) ==
        plus("SHARED_FILE"));
  CHECK(codes_of_reader(path, [&] { return check(open(path.c_str(), O_RDONLY) >= 0); }) ==
        baseline());
  // Mapped through a writable descriptor that is then closed: the mapping could be made writable.
  for (int access : {O_RDONLY, O_RDWR}) {
    auto map_early = [&] {
      return check(map_file(path, PROT_READ, MAP_SHARED, access) != MAP_FAILED);
    };
    CHECK(codes_of_reader("/etc/passwd", map_early) ==
          (access == O_RDWR ? plus("SHARED_FILE") : baseline()));
  }
  CHECK(codes_of_reader(files().page_file("everyone", 0666)) == plus("SHARED_FILE"));
  REQUIRE(chown(files().page_file("group", 0664).c_str(), 0, kNobody) == 0);
  CHECK(codes_of_reader(files().path("group")) == plus("SHARED_FILE"));
  REQUIRE(chmod(files().path("group").c_str(), 0644) == 0);
  CHECK(codes_of_reader(files().path("group")) == baseline());
  REQUIRE(chown(files().page_file("mine", 0444).c_str(), kNobody, 0) == 0);
  CHECK(codes_of_reader(files().path("mine")) == baseline());
}

TEST_CASE("SHARED_FILE: system files are fine for root, removed files are not") {
  Child child({[] {
    return check(map_file("/usr/bin/env", PROT_READ, MAP_SHARED, O_RDONLY) != MAP_FAILED);
  }});
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
  std::string path = files().page_file("removed", 0444);
  provoke_mapping("SHARED_FILE", [&] {
    void* address = map_file(path, PROT_READ, MAP_SHARED, O_RDONLY);
    unlink(path.c_str());
    return address;
  });
}

TEST_CASE("SHARED_MM: CLONE_VM, seen from both sides") {
  if (!proc::same_address_space(getpid(), getpid()).ok()) {
    MESSAGE("skip: no kcmp here");
    return;
  }
  static pid_t other;
  Child child({[] {
                 static char stack[16384];
                 auto idle = [](void*) {
                   for (;;) pause();
                   return 0;
                 };
                 other = clone(idle, stack + sizeof stack, CLONE_VM | SIGCHLD, nullptr);
                 return other > 0 ? -other : errno;
               },
               [] { return end_of(other); }});
  int answer = child.next();
  REQUIRE(answer < 0);
  pid_t clone_pid = -answer;
  CHECK(names_of(preflight_process(child.pid())) == plus("SHARED_MM"));
  CHECK(detail_of(child.pid(), ReasonCode::kSharedMm) == "process " + std::to_string(clone_pid));
  CHECK(names_of(preflight_process(clone_pid)) == plus("SHARED_MM"));
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

TEST_CASE("SHARED_MM: vfork") {
  if (!proc::same_address_space(getpid(), getpid()).ok()) return;
  static UniqueFd hold_in, hold_out, up_in, up_out;
  static std::thread thread;
  provoke(
      "SHARED_MM",
      [] {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) != 0) return errno;
        hold_in = UniqueFd(fds[0]), hold_out = UniqueFd(fds[1]);
        if (pipe2(fds, O_CLOEXEC) != 0) return errno;
        up_in = UniqueFd(fds[0]), up_out = UniqueFd(fds[1]);
        thread = std::thread([] {
          pid_t pid = vfork();
          if (pid == 0) {
            char byte = 1;
            _exit(write(up_out.get(), &byte, 1) == 1 && read(hold_in.get(), &byte, 1) == 1 ? 0 : 1);
          }
          waitpid(pid, nullptr, 0);
        });
        char byte;
        return check(read(up_in.get(), &byte, 1) == 1);
      },
      [] {
        char byte = 1;
        if (write(hold_out.get(), &byte, 1) != 1) return errno;
        thread.join();
        return 0;
      });
}

TEST_CASE("FD_TABLE: a thread with its own") {
  if (!proc::same_address_space(getpid(), getpid()).ok()) return;
  static std::atomic<int> state{0};
  static std::thread thread;
  provoke(
      "FD_TABLE",
      [] {
        thread = std::thread([] {
          state = unshare(CLONE_FILES) == 0 ? 1 : -errno;
          while (state == 1) std::this_thread::yield();
        });
        while (state == 0) std::this_thread::yield();
        return state == 1 ? 0 : -state;
      },
      [] {
        state = 2;
        thread.join();
        return 0;
      });
}

TEST_CASE("FD_TABLE: another process uses it, seen from both sides") {
  if (!proc::same_address_space(getpid(), getpid()).ok()) return;
  static pid_t other;
  Child child({[] {
                 other = static_cast<pid_t>(
                     syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
                 if (other == 0) {
                   for (;;) pause();
                 }
                 return other > 0 ? -other : errno;
               },
               [] { return end_of(other); }});
  const int answer = child.next();
  REQUIRE(answer < 0);
  const pid_t sharer = -answer;
  CHECK(names_of(preflight_process(child.pid())) == plus("FD_TABLE"));
  CHECK(detail_of(child.pid(), ReasonCode::kFdTable) ==
        "process " + std::to_string(sharer) + " uses it, too");
  CHECK(names_of(preflight_process(sharer)) == plus("FD_TABLE"));
  REQUIRE(child.next() == 0);
  CHECK(names_of(preflight_process(child.pid())) == baseline());
}

}  // namespace
}  // namespace om
