// SPDX-License-Identifier: Apache-2.0
//
// The program's side of the test protocol. Files in $OM_TEST_DIR, N counting points from 1:
//
//   ready.N   written by the program (renamed into place): "pid P", "tid T", and for a blocking
//   point
//             "block NR|NR..." or "block stopped"
//   moved.N   written by the driver when the moves of point N are done
//
// Runs in the program under test, at home and away: plain system calls, no inotify, no futexes. The
// point counter is per process: a forked helper starts from its parent's.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitSkip = 77;
constexpr int kExitBroken = 99;
constexpr int64_t kMoveLimitNs = 120 * kSecond;
constexpr int64_t kLateLimitNs = 20 * kSecond;
constexpr long kPollNs = 2 * kMilli;
constexpr size_t kCanaryBytes = 64;
constexpr unsigned char kCanary = 0xc5;

std::atomic<int> g_point{0};

struct Name {
  const char* text;
  long number;
};
constexpr Name kNames[] = {
    {"accept", SYS_accept},
    {"accept4", SYS_accept4},
    {"clock_nanosleep", SYS_clock_nanosleep},
    {"connect", SYS_connect},
    {"epoll_pwait", SYS_epoll_pwait},
    {"epoll_wait", SYS_epoll_wait},
    {"fcntl", SYS_fcntl},
    {"flock", SYS_flock},
    {"futex", SYS_futex},
    {"mq_timedreceive", SYS_mq_timedreceive},
    {"mq_timedsend", SYS_mq_timedsend},
    {"msgrcv", SYS_msgrcv},
    {"msgsnd", SYS_msgsnd},
    {"nanosleep", SYS_nanosleep},
    {"open", SYS_open},
    {"openat", SYS_openat},
    {"pause", SYS_pause},
    {"poll", SYS_poll},
    {"ppoll", SYS_ppoll},
    {"pselect6", SYS_pselect6},
    {"read", SYS_read},
    {"readv", SYS_readv},
    {"recvfrom", SYS_recvfrom},
    {"recvmmsg", SYS_recvmmsg},
    {"recvmsg", SYS_recvmsg},
    {"rt_sigsuspend", SYS_rt_sigsuspend},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait},
    {"select", SYS_select},
    {"semop", SYS_semop},
    {"semtimedop", SYS_semtimedop},
    {"sendfile", SYS_sendfile},
    {"sendmmsg", SYS_sendmmsg},
    {"sendto", SYS_sendto},
    {"splice", SYS_splice},
    {"tee", SYS_tee},
    {"vmsplice", SYS_vmsplice},
    {"wait4", SYS_wait4},
    {"waitid", SYS_waitid},
    {"write", SYS_write},
    {"writev", SYS_writev},
};

void say(const std::string& text) {
  ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
  static_cast<void>(ignored);
}

[[noreturn]] void broken_setup(const std::string& what) {
  say("broken set-up: " + what + "\n");
  _exit(kExitBroken);
}

void nap() {
  timespec pause{0, kPollNs};
  nanosleep(&pause, nullptr);  // a signal merely shortens it
}

const char* environment(const char* name) {
  const char* value = getenv(name);
  if (value == nullptr) {
    broken_setup(std::string(name) + " is not set; run this through test/lib/om_case.py");
  }
  return value;
}

std::string point_file(const char* kind, int point) {
  return std::string(environment("OM_TEST_DIR")) + "/" + kind + "." + std::to_string(point);
}

std::string numbers_of(const char* syscalls) {
  if (strcmp(syscalls, "stopped") == 0) return syscalls;
  std::string result;
  std::string rest = syscalls;
  while (!rest.empty()) {
    size_t bar = rest.find('|');
    std::string one = rest.substr(0, bar);
    rest = bar == std::string::npos ? "" : rest.substr(bar + 1);
    long number = -1;
    for (const Name& name : kNames) {
      if (one == name.text) number = name.number;
    }
    if (number < 0) broken_setup("no system call named " + one + " in om_test.cc");
    if (!result.empty()) result += '|';
    result += std::to_string(number);
  }
  return result;
}

void announce(const std::string& block) {
  int saved = errno;
  int point = ++g_point;
  std::string path = point_file("ready", point);
  std::string temporary = path + ".new";
  std::string text = "pid " + std::to_string(getpid()) + "\ntid " + std::to_string(gettid()) + "\n";
  if (!block.empty()) text += "block " + block + "\n";
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) broken_setup(temporary + ": " + strerror(errno));
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || close(fd) != 0 ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    broken_setup(path + ": " + strerror(errno));
  }
  errno = saved;
}

void wait_point(int point) {
  int saved = errno;
  std::string path = point_file("moved", point);
  int64_t start = om_test_ns();
  while (access(path.c_str(), F_OK) != 0) {
    if (om_test_ns() - start > kMoveLimitNs) broken_setup("no answer from the driver: " + path);
    nap();
  }
  errno = saved;
}

// First bytes of a small file in /proc; empty if it is gone.
std::string read_small(const std::string& path) {
  char text[512];
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  ssize_t got = read(fd, text, sizeof text);
  close(fd);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : "";
}

}  // namespace

void om_test_ready() { announce(""); }

void om_test_ready_blocking(const char* syscalls) { announce(numbers_of(syscalls)); }

void om_test_wait_moved() {
  int point = g_point.load();
  wait_point(point == 0 ? 1 : point);
}

int om_test_moves() { return atoi(environment("OM_TEST_MOVES")); }

void om_test_join(pid_t child) {
  int status = 0;
  pid_t got = 0;
  do {
    got = waitpid(child, &status, 0);
  } while (got < 0 && errno == EINTR);
  OM_CHECK_EQ(got, child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitBroken) _exit(kExitBroken);
  OM_CHECK_EQ(status, 0);
}

void om_test_skip(const char* reason) {
  say(std::string("skip: ") + reason + "\n");
  _exit(kExitSkip);
}

void om_test_wait_state(pid_t child, char state) {
  std::string path = "/proc/" + std::to_string(child) + "/stat";
  int64_t start = om_test_ns();
  for (;;) {
    std::string text = read_small(path);
    size_t end = text.rfind(')');
    if (end != std::string::npos && end + 2 < text.size() && text[end + 2] == state) return;
    if (om_test_ns() - start > kLateLimitNs) {
      om_test::fail(__FILE__, __LINE__, (path + " is " + text).c_str());
    }
    nap();
  }
}

OmGuarded::OmGuarded(size_t bytes) : map_(nullptr), map_bytes_(0), data_(nullptr) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t body = (bytes + kCanaryBytes + page - 1) / page * page;
  map_bytes_ = body + page;
  void* map = mmap(nullptr, map_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) broken_setup("guard buffer: no memory");
  map_ = static_cast<char*>(map);
  if (mprotect(map_ + body, page, PROT_NONE) != 0) broken_setup("guard buffer: mprotect");
  data_ = map_ + body - bytes;
  memset(data_ - kCanaryBytes, kCanary, kCanaryBytes);
}

OmGuarded::~OmGuarded() {
  for (size_t i = 1; i <= kCanaryBytes; ++i) {
    if (static_cast<unsigned char>(data_[-static_cast<ssize_t>(i)]) != kCanary) {
      om_test::fail(__FILE__, __LINE__, "something wrote before the start of a guarded buffer");
    }
  }
  munmap(map_, map_bytes_);
}

namespace om_test {

namespace {

std::string place(const char* file, int line) {
  const char* base = strrchr(file, '/');
  return std::string(base == nullptr ? file : base + 1) + ":" + std::to_string(line) + ": ";
}

std::string show(const Value& value) {
  char text[64];
  switch (value.kind) {
    case Value::kSigned:
      return std::to_string(value.number);
    case Value::kUnsigned:
      return std::to_string(value.unsigned_number);
    case Value::kFloat:
      snprintf(text, sizeof text, "%.17g", value.real);
      return text;
    case Value::kText:
      return value.text == nullptr ? "NULL" : '"' + std::string(value.text) + '"';
    case Value::kPointer:
      snprintf(text, sizeof text, "%p", value.pointer);
      return text;
  }
  return "?";
}

bool same(const Value& a, const Value& b) {
  bool integers = a.kind <= Value::kUnsigned && b.kind <= Value::kUnsigned;
  if (integers && a.kind != b.kind && a.number < 0)
    return false;  // one is negative, or beyond 2^63
  if (integers) return a.number == b.number;
  bool addresses = a.kind >= Value::kText && b.kind >= Value::kText;
  if (addresses && a.kind != b.kind) return a.pointer == b.pointer;  // char* against void*
  if (a.kind != b.kind) return false;
  if (a.kind == Value::kFloat) return a.real == b.real;
  if (a.kind == Value::kPointer) return a.pointer == b.pointer;
  return a.text != nullptr && b.text != nullptr && strcmp(a.text, b.text) == 0;
}

}  // namespace

void fail(const char* file, int line, const char* message) {
  say(place(file, line) + message + "\n");
  _exit(kExitFailed);
}

void broken(const char* file, int line, const char* what, int err) {
  std::string message = std::string(what) + ": " + strerror(err);
  if (g_point.load() > 0) fail(file, line, message.c_str());
  broken_setup(place(file, line) + message);
}

void check_eq(const char* file, int line, const char* text, Value actual, Value expected) {
  if (same(actual, expected)) return;
  std::string message = std::string(text) + ": got " + show(actual) + ", want " + show(expected);
  fail(file, line, message.c_str());
}

void check_errno(const char* file, int line, const char* text, long result, int expected) {
  int err = errno;
  if (result == -1 && err == expected) return;
  std::string message = std::string(text) + ": got " + std::to_string(result) + " errno " +
                        std::to_string(err) + ", want errno " + std::to_string(expected);
  fail(file, line, message.c_str());
}

void check_time(const char* file, int line, int64_t started_ns, int64_t at_least_ns) {
  int64_t passed = om_test_ns() - started_ns;
  bool early = passed < at_least_ns;
  if (!early && passed <= at_least_ns + kLateLimitNs) return;
  std::string message = std::string(early ? "early: " : "late: ") + std::to_string(passed) +
                        " ns passed, want " + std::to_string(at_least_ns);
  fail(file, line, message.c_str());
}

pid_t fork_helper(int point) {
  pid_t parent = getpid();
  pid_t child = fork();
  if (child < 0) broken_setup(std::string("fork: ") + strerror(errno));
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExitBroken);
  wait_point(point);
  return 0;
}

}  // namespace om_test
