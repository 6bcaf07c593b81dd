// SPDX-License-Identifier: Apache-2.0
//
// common/proc/stat.h: all 52 fields by position, names made to confuse, malformed text, this
// process, and the scheduler clock of a thread.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>

#include "common/proc/stat.h"

namespace om::proc {
namespace {

// Field n of the text is n, except the state.
std::string numbered(const std::string& comm) {
  std::string text = "1 (" + comm + ") S";
  for (int field = 4; field <= 52; ++field) text.append(" ").append(std::to_string(field));
  return text + "\n";
}

TEST_CASE("every field is where proc(5) says") {
  Result<Stat> s = parse_stat(numbered("name"));
  REQUIRE(s.ok());
  CHECK(s->pid == 1);
  CHECK(s->comm == "name");
  CHECK(s->state == 'S');
  CHECK(s->ppid == 4);
  CHECK(s->pgrp == 5);
  CHECK(s->session == 6);
  CHECK(s->tty_nr == 7);
  CHECK(s->tpgid == 8);
  CHECK(s->flags == 9);
  CHECK(s->minflt == 10);
  CHECK(s->cminflt == 11);
  CHECK(s->majflt == 12);
  CHECK(s->cmajflt == 13);
  CHECK(s->utime == 14);
  CHECK(s->stime == 15);
  CHECK(s->cutime == 16);
  CHECK(s->cstime == 17);
  CHECK(s->priority == 18);
  CHECK(s->nice == 19);
  CHECK(s->num_threads == 20);
  CHECK(s->itrealvalue == 21);
  CHECK(s->starttime == 22);
  CHECK(s->vsize == 23);
  CHECK(s->rss == 24);
  CHECK(s->rsslim == 25);
  CHECK(s->startcode == 26);
  CHECK(s->endcode == 27);
  CHECK(s->startstack == 28);
  CHECK(s->kstkesp == 29);
  CHECK(s->kstkeip == 30);
  CHECK(s->signal == 31);
  CHECK(s->blocked == 32);
  CHECK(s->sigignore == 33);
  CHECK(s->sigcatch == 34);
  CHECK(s->wchan == 35);
  CHECK(s->nswap == 36);
  CHECK(s->cnswap == 37);
  CHECK(s->exit_signal == 38);
  CHECK(s->processor == 39);
  CHECK(s->rt_priority == 40);
  CHECK(s->policy == 41);
  CHECK(s->delayacct_blkio_ticks == 42);
  CHECK(s->guest_time == 43);
  CHECK(s->cguest_time == 44);
  CHECK(s->start_data == 45);
  CHECK(s->end_data == 46);
  CHECK(s->start_brk == 47);
  CHECK(s->arg_start == 48);
  CHECK(s->arg_end == 49);
  CHECK(s->env_start == 50);
  CHECK(s->env_end == 51);
  CHECK(s->exit_code == 52);
}

TEST_CASE("names with blanks, parentheses and newlines") {
  for (const char* name : {"", "a b", ")", "(", ") S 4 5", "a) R (b", "((", "))", "x\ny", " ("}) {
    Result<Stat> s = parse_stat(numbered(name));
    REQUIRE_MESSAGE(s.ok(), name);
    CHECK(s->comm == name);
    CHECK(s->ppid == 4);
    CHECK(s->exit_code == 52);
  }
}

TEST_CASE("malformed text is an error") {
  std::string good = numbered("name");
  CHECK_FALSE(parse_stat("").ok());
  CHECK_FALSE(parse_stat("1 name S 4").ok());
  CHECK_FALSE(parse_stat("1 (name").ok());
  CHECK_FALSE(parse_stat("x (name) S 4").ok());
  CHECK_FALSE(parse_stat(good.substr(0, good.rfind(' '))).ok());
  for (size_t cut = 0; cut + 3 < good.size(); ++cut)
    CHECK_FALSE(parse_stat(good.substr(0, cut)).ok());
  std::string bad = good;
  bad.replace(bad.find(" 14 "), 4, " -14 ");
  CHECK_FALSE(parse_stat(bad).ok());
  bad = good;
  bad.replace(bad.find(" S "), 3, " SS ");
  CHECK_FALSE(parse_stat(bad).ok());
}

TEST_CASE("negative values where the kernel prints them") {
  std::string text = numbered("name");
  text.replace(text.find(" 8 "), 3, " -1 ");
  text.replace(text.find(" 18 19 "), 7, " -51 -20 ");
  Result<Stat> s = parse_stat(text);
  REQUIRE(s.ok());
  CHECK(s->tpgid == -1);
  CHECK(s->priority == -51);
  CHECK(s->nice == -20);
}

TEST_CASE("this process") {
  REQUIRE(prctl(PR_SET_NAME, ") R 1 (x") == 0);
  Result<Stat> s = read_stat(getpid());
  REQUIRE(s.ok());
  CHECK(s->pid == getpid());
  CHECK(s->comm == ") R 1 (x");
  CHECK(s->state == 'R');
  CHECK(s->ppid == getppid());
  CHECK(s->pgrp == getpgrp());
  CHECK(s->session == getsid(0));
  CHECK(s->num_threads == 1);
  CHECK(s->vsize > 0);
  CHECK(s->rss > 0);
  CHECK(s->starttime > 0);
  CHECK(s->exit_signal == SIGCHLD);
  // Not the address of a variable: AddressSanitizer keeps those on a stack of its own.
  uint64_t here = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  CHECK(s->startstack > here);
  CHECK(s->startstack - here < (uint64_t{64} << 20));
  CHECK(s->start_brk <= reinterpret_cast<uint64_t>(sbrk(0)));
  CHECK(s->arg_start < s->arg_end);
  CHECK(s->arg_end <= s->env_start);
  CHECK(read_stat(0x3fffffff).error().err == ESRCH);
}

TEST_CASE("a child that has ended keeps its exit code until it is reaped") {
  pid_t child = fork();
  if (child == 0) _exit(3);
  REQUIRE(child > 0);
  siginfo_t info{};
  REQUIRE(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  Result<Stat> s = read_stat(child);
  REQUIRE(s.ok());
  CHECK(s->state == 'Z');
  CHECK(s->exit_code == 3 << 8);
  CHECK(s->ppid == getpid());
  CHECK(waitpid(child, nullptr, 0) == child);
  CHECK(read_stat(child).error().err == ESRCH);
}

TEST_CASE("scheduler clock") {
  CHECK(*parse_sched_exec_start(
            "cat (5876, #threads: 1)\n---\nse.exec_start    :       2187763.924218\n") ==
        doctest::Approx(2187763.924218));
  CHECK_FALSE(parse_sched_exec_start("cat (5876, #threads: 1)\n").ok());
  CHECK_FALSE(parse_sched_exec_start("se.exec_start : x\n").ok());
  CHECK_FALSE(parse_sched_exec_start("se.exec_start_x : 1.0\n").ok());
  CHECK_FALSE(parse_sched_exec_start("").ok());
}

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

TEST_CASE("how long a thread has slept, on every CPU, seen from wherever this one runs") {
  cpu_set_t allowed;
  REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    int64_t before = now_ns();
    pid_t child = fork();
    if (child == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      for (;;) pause();
    }
    REQUIRE(child > 0);
    while (read_stat(child)->state != 'S') usleep(1000);
    usleep(20000);
    Result<double> slept = read_milliseconds_since_run(child);
    double most = static_cast<double>(now_ns() - before) / 1e6;
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, nullptr, 0) == child);
    if (!slept && slept.error().err == ENOENT) {
      MESSAGE("skip: kernel without /proc/PID/sched");
      return;
    }
    REQUIRE(slept.ok());
    CHECK(*slept > 0);
    // Apart from drift, the scheduler's clock is never faster than real time.
    CHECK(*slept < most * 1.001 + 1);
  }
  cpu_set_t after;
  REQUIRE(sched_getaffinity(0, sizeof after, &after) == 0);
  CHECK(CPU_EQUAL(&allowed, &after));
  CHECK(read_milliseconds_since_run(0x3fffffff).error().err == ESRCH);
}

}  // namespace
}  // namespace om::proc
