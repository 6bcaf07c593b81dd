// SPDX-License-Identifier: Apache-2.0
//
// What the namespaces of a guest keep from it by themselves, if there were no filter: tries every way out of escapes.h
// as nobody, in namespaces and an empty root like those of a body, and without. In them nothing may be reached. Without
// them the table says what may be, and what must be: an attempt that never succeeds would prove nothing.
//
//   walls   one line for each: name, errno in namespaces, errno without, 0 for reached
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/proc/namespaces.h"
#include "test/hostile/escapes.h"

using namespace om::hostile;

namespace {

constexpr int kSkipped = 77;
constexpr uid_t kNobody = 65534;
constexpr long kUserKeyring = -4;

long raw_call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
  const long result = ::syscall(nr, a, b, c, d, e, f);
  return result < 0 ? -errno : result;
}

[[noreturn]] void give_up(const char* what) {
  perror(what);
  exit(1);
}

uint64_t g_memory = 0x6f70656e4d6f7369;

// It ends with this process.
pid_t start_outside(Outside& outside) {
  snprintf(outside.name, sizeof outside.name, "/om-outside-%d", getpid());
  outside.memory = reinterpret_cast<uint64_t>(&g_memory);
  outside.shared_memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  if (outside.shared_memory < 0) give_up("shmget");
  const int tcp = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (bind(tcp, reinterpret_cast<sockaddr*>(&at), size) != 0 || listen(tcp, 64) != 0 ||
      getsockname(tcp, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    give_up("a listener");
  outside.port = ntohs(at.sin_port);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  strncpy(name.sun_path + 1, outside.name, sizeof name.sun_path - 2);
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(outside.name));
  if (bind(local, reinterpret_cast<sockaddr*>(&name), size) != 0 || listen(local, 64) != 0)
    give_up("an abstract socket");
  // Not every kernel has these two.
  const mqd_t queue = mq_open(outside.name, O_RDWR | O_CREAT, 0600, nullptr);
  if (queue >= 0) mq_close(queue);
  ::syscall(SYS_add_key, "user", outside.name, "x", 1, kUserKeyring);
  outside.pid = fork();
  if (outside.pid < 0) give_up("fork");
  if (outside.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  close(tcp);
  close(local);
  return outside.pid;
}

// What the attempt says, of a process of its own.
long attempt(const Escape& escape, const Outside& outside, bool apart) {
  int answer[2];
  if (pipe(answer) != 0) give_up("pipe");
  const pid_t child = apart ? om::proc::fork_apart() : fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    if (apart && om::proc::leave_file_system() != 0) _exit(2);
    setsid();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    dup2(answer[1], 0);
    syscall(SYS_close_range, 1, ~0u, 0);
    const long said = escape.attempt(raw_call, outside);
    (void)!write(0, &said, sizeof said);
    _exit(0);
  }
  close(answer[1]);
  long said = -ECHILD;
  if (read(answer[0], &said, sizeof said) != sizeof said) {
    fprintf(stderr, "%s: no answer\n", escape.name);
    exit(1);
  }
  close(answer[0]);
  waitpid(child, nullptr, 0);
  return said;
}

bool judge(const Escape& escape, long apart, long alone) {
  printf("%-20s %4ld %4ld\n", escape.name, apart < 0 ? -apart : 0, alone < 0 ? -alone : 0);
  if (apart >= 0) fprintf(stderr, "%s: reached out of the namespaces\n", escape.name);
  const bool reached = alone >= 0;
  const bool right = escape.alone == Alone::kMay || reached == (escape.alone == Alone::kAlways);
  if (!right) {
    fprintf(stderr, "%s: without namespaces it is %s\n", escape.name,
            reached ? "reached" : "not reached");
  }
  return apart < 0 && right;
}

void become_nobody() {
  if (getuid() != 0) return;
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0)
    give_up("become nobody");
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  become_nobody();  // as root some of the attempts would work
  if (const auto possible = om::proc::try_namespaces(); !possible) {
    fprintf(stderr, "no namespaces for an ordinary user: %s\n", possible.error().text().c_str());
    return kSkipped;
  }
  Outside outside;
  const pid_t other = start_outside(outside);
  bool right = true;
  for (const Escape& escape : escapes()) {
    const long apart = attempt(escape, outside, true);
    right &= judge(escape, apart, attempt(escape, outside, false));
  }
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  shmctl(outside.shared_memory, IPC_RMID, nullptr);
  mq_unlink(outside.name);
  rmdir("/tmp/om-climb");
  const long key =
      ::syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, kUserKeyring, "user", outside.name, 0);
  if (key >= 0) ::syscall(SYS_keyctl, 9 /* KEYCTL_UNLINK */, key, kUserKeyring);
  return right ? 0 : 1;
}
