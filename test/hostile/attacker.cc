// SPDX-License-Identifier: Apache-2.0
//
// A program that turns against libom while it is away: attacker ATTACK [ARGUMENT...]. It says "ready", waits for
// the file "go" (by then it has been moved), attacks, and says "sound" if it has survived and all that it was
// answered is what it must be. hostile_test.py watches everything else on the nodes.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>
#include <thread>

#include "test/hostile/attacks.h"
#include "test/hostile/escapes.h"
#include "test/hostile/gate.h"

using namespace om;
using namespace om::hostile;

namespace om::hostile {

void check(bool holds, const char* what, long value) {
  if (holds) return;
  dprintf(STDERR_FILENO, "attacker: %s: %ld\n", what, value);
  _exit(1);
}

void still_served() {
  const pid_t own = getpid();
  check(syscall(SYS_getpgid, 0) == own, "a call after the attack", own);
}

}  // namespace om::hostile

namespace {

uint64_t number(const char* text) { return strtoull(text, nullptr, 0); }

// attacker syscall NR A B C D E F: one system call by the gate's instruction, all numbers and arguments allowed.
void one_syscall(int argc, char** argv) {
  uint64_t a[7] = {};
  for (int i = 0; i < 7 && i + 2 < argc; i++) a[i] = number(argv[i + 2]);
  static char path[] = "/etc/hostname";
  for (uint64_t& v : a) {
    if (v == 0x7061) v = address(path);
  }
  printf("%ld\n", gate_syscall(static_cast<long>(a[0]), a[1], a[2], a[3], a[4], a[5], a[6]));
  fflush(stdout);
}

// attacker escape NUMBER PID: one way out of the node's confinement (escapes.h), PID being a process of the node.
void escape(const char* which, const char* pid) {
  const size_t index = number(which);
  check(index < escapes().size(), "the number of an escape", static_cast<long>(index));
  Outside outside;
  outside.pid = static_cast<pid_t>(number(pid));
  const Escape& attempt = escapes()[index];
  const auto call = [](long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                       uint64_t f) { return gate_syscall(nr, a, b, c, d, e, f); };
  const long said = attempt.attempt(call, outside);
  dprintf(STDERR_FILENO, "attacker: %s was answered: %ld\n", attempt.name, said);
  _exit(1);
}

// attacker jump WHERE: to an entry of libom's with a stack and registers that it does not expect.
void jump(const char* where) {
  const Anchor& a = anchor();
  struct {
    const char* name;
    uint64_t at;
  } entries[] = {{"transplant_end", a.transplant_end},
                 {"window", a.window_lo},
                 {"executor", a.executor_entry},
                 {"orphan", a.orphan_entry},
                 {"remote", a.remote_entry},
                 {"catcher", a.catcher},
                 {"restorer", a.restorer},
                 {"body", a.body_entry},
                 {"inject", a.inject}};
  static uint8_t memory[1 << 16];
  memset(memory, 0x41, sizeof memory);
  for (const auto& e : entries) {
    if (strcmp(e.name, where) != 0) continue;
    register uint64_t to asm("r12") = e.at;
    register uint8_t* stack asm("r13") = memory + sizeof memory / 2;
    asm volatile(
        "mov %1, %%rsp\n mov $1, %%edi\n mov %1, %%rsi\n mov %1, %%rdx\n mov %1, %%rbx\n"
        "mov $39, %%eax\n jmp *%0"
        :
        : "r"(to), "r"(stack)
        : "memory");
  }
}

// attacker segments: without the segment bases that the gate needs, calls go on for ever or end the body.
void segments() {
  constexpr uint64_t kSetGs = 0x1001;
  gate_syscall(SYS_arch_prctl, kSetGs, 0x1000);
  getppid();
}

// attacker scribble MS: random bytes over everything of libom's that can be written, while calls are made.
[[noreturn]] void scribble(long ms) {
  std::thread calls([] {
    const int fd = open("scribbled", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[4000] = {};
    for (;;) {
      (void)!pwrite(fd, text, sizeof text, 0);
      (void)!pread(fd, text, sizeof text, 0);
    }
  });
  usleep(20000);
  uint64_t seed = 88172645463325252ull;
  auto next = [&] {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
  };
  const uint64_t arena = body_state().arena;
  const uint64_t state = anchor().body_state;
  for (long i = 0; i < ms * 2000; i++) {
    const uint64_t where = slot_address(arena, static_cast<uint32_t>(next() % 2)) + kSlotBlock +
                           next() % (kSlotSize - kSlotBlock - 8);
    *reinterpret_cast<volatile uint64_t*>(i % 4 ? where : state + next() % sizeof(BodyState)) =
        next();
  }
  for (volatile bool on = true; on;) {
  }
  _exit(1);
}

[[noreturn]] void more_threads(long count) {
  for (long i = 0; i < count; i++) {
    hidden_thread(
        [](void*) {
          for (;;) gate_syscall(SYS_sched_yield);
        },
        nullptr);
  }
  for (;;) usleep(1000);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (std::string_view(argv[1]) == "escapes") {
    for (const Escape& each : escapes()) printf("%s\n", each.name);
    return 0;
  }
  const std::string_view attack = argv[1];
  (void)anchor();
  printf("ready\n");
  fflush(stdout);
  while (access("go", F_OK) != 0) usleep(2000);
  (void)!write(STDOUT_FILENO, "away\n", 5);
  if (attack == "syscall") one_syscall(argc, argv);
  if (attack == "escape" && argc > 3) escape(argv[2], argv[3]);
  if (attack == "jump") jump(argv[2]);
  if (attack == "segments") segments();
  if (attack == "forge") forge_calls();
  if (attack == "descriptors") forge_descriptors();
  if (attack == "garbage") garbage_on_the_channel();
  if (attack == "keeper") garbage_to_the_keeper();
  if (attack == "flood") flood_the_keeper();
  if (attack == "park") lie_when_parked(argv[2]);
  if (attack == "scribble") scribble(argc > 2 ? atol(argv[2]) : 50);
  if (attack == "threads") more_threads(argc > 2 ? atol(argv[2]) : 100);
  if (attack == "memory") exhaust_memory();
  if (attack == "calls") {
    for (;;) still_served();
  }
  if (attack == "loop") {
    for (volatile bool on = true; on;) {
    }
  }
  printf("sound\n");
  return 0;
}
