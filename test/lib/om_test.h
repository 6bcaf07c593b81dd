// SPDX-License-Identifier: Apache-2.0
//
// What a behaviour program (test/behaviour) knows about the test driver, and the checks it uses.
//
// The program announces a point; the driver makes the moves that the mode plans for that point and reports it; then
// wait_moved() returns. Programs talk to the driver only through files in $OM_TEST_DIR and never know where they run:
// there is no call for that, on purpose. Waiting is a plain loop of nanosleep and access(), because the caller may be
// away at any time. Any thread may call any function here.
//
// Exit codes: 0 ok, 1 failed check (message on stderr), 77 skip, 99 broken set-up. See
// docs/TESTING.md.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>
#include <type_traits>

// Announces the next point. The driver moves the calling process while the caller goes on.
void om_test_ready();

// The same, but the driver first waits until it sees the calling thread inside one of the system calls, e.g. "read" or
// "select|pselect6". The caller makes the call right after this returns. "stopped" waits until a signal has stopped the
// whole process. An unknown name is broken set-up.
void om_test_ready_blocking(const char* syscalls);

// Returns when all moves of the last announced point are done (of point 1 if this process, e.g. a
// forked helper, has announced none). Gives up after 120 s with broken set-up.
void om_test_wait_moved();

// How many moves this mode makes in all, >= 0. Only for choosing the number of rounds of a loop.
int om_test_moves();

// Forks a helper that does not move: it waits for the moves of `point`, runs `work`, exits 0. It dies with its parent.
// Call this before announcing the point, so that the helper exists when the moves begin.
template <typename Work>
pid_t om_test_helper(Work work, int point = 1);

// Reaps a child that must have exited with 0.
void om_test_join(pid_t child);

[[noreturn]] void om_test_skip(const char* reason);

// Waits until `child` (or any readable process) is in state `state` of /proc/PID/stat.
void om_test_wait_state(pid_t child, char state);

// Nanoseconds of a clock since its zero.
inline int64_t om_test_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

constexpr int64_t kMilli = 1000000;         // ns
constexpr int64_t kSecond = 1000 * kMilli;  // ns

// `bytes` bytes that end right before a PROT_NONE page, with a canary before them. The destructor checks the canary: a
// write before the buffer fails the test, one past its end is a SIGSEGV.
class OmGuarded {
 public:
  explicit OmGuarded(size_t bytes);  // bytes > 0
  ~OmGuarded();
  OmGuarded(const OmGuarded&) = delete;
  OmGuarded& operator=(const OmGuarded&) = delete;

  char* data() const { return data_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  char* map_;
  size_t map_bytes_;
  char* data_;
};

// One object of type T against a guard page, zeroed.
template <typename T>
class OmGuardedOut : public OmGuarded {
 public:
  OmGuardedOut() : OmGuarded(sizeof(T)) {}
  T* operator&() const { return as<T>(); }
  T* operator->() const { return as<T>(); }
  T& operator*() const { return *as<T>(); }
};

// A thread that runs a callable and is joined at the end of its scope at the latest. Needs few headers; std::thread is
// used where it is the subject.
class OmThread {
 public:
  template <typename Work>
  explicit OmThread(Work work) : thread_(), joined_(false) {
    auto* copy = new Work(work);
    errno = pthread_create(&thread_, nullptr, &run<Work>, copy);
    if (errno != 0) om_test_skip("cannot make a thread");
  }
  ~OmThread() { join(); }
  OmThread(const OmThread&) = delete;
  OmThread& operator=(const OmThread&) = delete;

  void join() {
    if (!joined_) pthread_join(thread_, nullptr);
    joined_ = true;
  }
  pthread_t handle() const { return thread_; }

 private:
  template <typename Work>
  static void* run(void* argument) {
    Work* work = static_cast<Work*>(argument);
    (*work)();
    delete work;
    return nullptr;
  }
  pthread_t thread_;
  bool joined_;
};

namespace om_test {

// One side of a comparison, so that checks need no header of the standard library.
struct Value {
  enum Kind { kSigned, kUnsigned, kFloat, kText, kPointer } kind;
  union {
    int64_t number;
    uint64_t unsigned_number;
    double real;
    const char* text;
    const void* pointer;
  };

  template <typename T>
  Value(const T& value) : kind(kSigned), number(0) {
    if constexpr (std::is_enum_v<T>) {
      number = static_cast<int64_t>(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      kind = kFloat;
      real = static_cast<double>(value);
    } else if constexpr (std::is_unsigned_v<T>) {
      kind = kUnsigned;
      unsigned_number = value;
    } else if constexpr (std::is_integral_v<T>) {
      number = value;
    } else if constexpr (std::is_convertible_v<T, const char*>) {
      kind = kText;
      text = value;
    } else {
      kind = kPointer;
      pointer = reinterpret_cast<const void*>(value);
    }
  }
};

[[noreturn]] void fail(const char* file, int line, const char* message);
// A set-up call failed: exit code 99 before the first point, 1 after it.
[[noreturn]] void broken(const char* file, int line, const char* what, int err);
void check_eq(const char* file, int line, const char* text, Value actual, Value expected);
void check_errno(const char* file, int line, const char* text, long result, int expected);
void check_time(const char* file, int line, int64_t started_ns, int64_t at_least_ns);
// Returns 0 in the child once the moves of `point` are done, the child's pid in the parent.
pid_t fork_helper(int point);

template <typename T>
T sys(const char* file, int line, const char* text, T result) {
  bool failed = false;
  if constexpr (std::is_pointer_v<T>) {
    failed = reinterpret_cast<intptr_t>(result) == -1;
  } else {
    failed = result == static_cast<T>(-1);
  }
  if (failed) broken(file, line, text, errno);
  return result;
}

}  // namespace om_test

template <typename Work>
pid_t om_test_helper(Work work, int point) {
  pid_t child = om_test::fork_helper(point);
  if (child == 0) {
    work();
    _exit(0);
  }
  return child;
}

#define OM_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : om_test::fail(__FILE__, __LINE__, #condition))
#define OM_CHECK_EQ(actual, expected) \
  om_test::check_eq(__FILE__, __LINE__, #actual, (actual), (expected))
// The call must fail with this errno.
#define OM_CHECK_ERRNO(call, expected) \
  (errno = 0, om_test::check_errno(__FILE__, __LINE__, #call, static_cast<long>(call), (expected)))
// The call must not return -1; yields its result. For set-up and for calls whose failure is not the point.
#define OM_SYS(call) (om_test::sys(__FILE__, __LINE__, #call, (call)))
// Since started_ns (om_test_ns()) at least that many ns have passed, and at most 20 s more.
#define OM_CHECK_TIME(started_ns, at_least_ns) \
  om_test::check_time(__FILE__, __LINE__, (started_ns), (at_least_ns))
