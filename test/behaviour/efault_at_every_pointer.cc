// SPDX-License-Identifier: Apache-2.0
//
// Every call of the table with each of its pointers in turn at memory that is not there, on descriptors of
// several kinds: the errors, printed, are the same as natively (EFAULT, or what the kernel checks before). Then
// with good pointers, every output right before an unreadable page: nothing is written before or behind it.
// om-limit: 120
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

// The one behaviour that is about the table itself.
#include <gen/syscalls_desc.h>
#include <gen/syscalls_names.h>
#include <libom/safe/call_layout.h>

using namespace om;

namespace {

constexpr size_t kRoom = 8192;
constexpr size_t kCount = 64;  // what counting arguments say
char* g_hole;                  // unreadable

// Left out: what ends, replaces, stops or signals the process, or takes its limits; calls that bring the process
// home in any case, so that what follows would not be tried away.
constexpr const char* kLeftOut[] = {"capget",        "capset",
                                    "clone",         "clone3",
                                    "execve",        "execveat",
                                    "exit",          "exit_group",
                                    "mq_notify",     "name_to_handle_at",
                                    "prlimit64",     "rt_sigqueueinfo",
                                    "rt_sigsuspend", "rt_tgsigqueueinfo",
                                    "sched_setattr", "setgroups",
                                    "setrlimit",     "sigaltstack",
                                    "statmount",     "listmount",
                                    "listns"};

// The program's own row with the arguments of a command in place.
struct Row {
  unsigned nr;
  uint64_t command;
  const char* name;
  SyscallDesc desc;
};

bool is_left_out(const char* name) {
  for (const char* left : kLeftOut)
    if (strcmp(left, name) == 0) return true;
  return false;
}

bool has_memory(const ArgDesc& a) { return a.kind == ArgKind::kStr || a.kind == ArgKind::kBuf; }

// One pointer argument's memory, ending right before an unreadable page.
struct Buffer {
  OmGuarded bytes{kRoom};
  char* end() const { return bytes.data() + kRoom; }
};

Buffer* g_buffers;  // one an argument
iovec* g_vector;

bool is_counting(const SyscallDesc& d, unsigned arg) {
  for (unsigned i = 0; i < d.nargs; ++i) {
    const ArgDesc& a = d.args[i];
    const bool counted =
        a.len != LenKind::kConst && a.len != LenKind::kFdSet && !safe::needs_deref(a);
    if (a.kind == ArgKind::kBuf && counted && a.len_arg == arg) return true;
  }
  return false;
}

bool is_length_word(const SyscallDesc& d, unsigned arg) {
  for (unsigned i = 0; i < d.nargs; ++i)
    if (d.args[i].kind == ArgKind::kBuf && safe::needs_deref(d.args[i]) && d.args[i].len_arg == arg)
      return true;
  return false;
}

uint64_t number(const Row& row, unsigned i, int fd) {
  const ArgDesc& a = row.desc.args[i];
  if (row.desc.sub != 0 && i == row.desc.cmd_arg) return row.command;
  if (is_counting(row.desc, i)) {
    const bool vector = row.desc.args[1].kind == ArgKind::kBuf && safe::is_iov(row.desc.args[1]);
    if (strcmp(row.name, "getcwd") == 0) return kRoom;  // however long the test's directory is
    return vector ? 2 : strncmp(row.name, "rt_sig", 6) == 0 ? 8 : kCount;
  }
  if (a.type == ArgType::kFd) return static_cast<uint64_t>(fd);
  if (a.type == ArgType::kAtFd) return static_cast<uint64_t>(AT_FDCWD);
  if (a.type == ArgType::kSize) return 8;  // of a signal set
  if (a.type == ArgType::kSig) return SIGUSR1;
  if (a.type == ArgType::kUid || a.type == ArgType::kGid) return 0xffffffff;
  if (a.type == ArgType::kMode) return 0600;
  return a.type == ArgType::kClock ? CLOCK_MONOTONIC : 0;
}

// All arguments as they have to be; the memory of outputs ends at an unreadable page.
void arguments(const Row& row, int fd, uint64_t args[6]) {
  const SyscallDesc& d = row.desc;
  for (unsigned i = 0; i < 6; ++i) {
    args[i] = i < d.nargs ? number(row, i, fd) : 0;
    memset(g_buffers[i].bytes.data(), 0, kRoom);
  }
  for (unsigned i = 0; i < d.nargs; ++i) {
    const ArgDesc& a = d.args[i];
    if (a.kind == ArgKind::kStr) {
      const bool link = strstr(row.name, "readlink") != nullptr;
      const char* path = (d.effects & kEffPure) == 0 ? "no/such/file"
                         : link                      ? "/proc/self/exe"
                                                     : ".";
      const char* text = a.type == ArgType::kPath && i <= 1 ? path : "user.name";
      args[i] = reinterpret_cast<uint64_t>(strcpy(g_buffers[i].end() - strlen(text) - 1, text));
    } else if (a.kind == ArgKind::kBuf && safe::is_iov(a)) {
      g_vector[0] = {g_buffers[i].end() - 100, 40};
      g_vector[1] = {g_buffers[i].end() - 24, 24};
      args[i] = reinterpret_cast<uint64_t>(g_vector);
    } else if (a.kind == ArgKind::kBuf) {
      const uint64_t n = safe::cap_bytes(a, args, kCount);
      OM_CHECK(n <= kRoom);
      args[i] = reinterpret_cast<uint64_t>(g_buffers[i].end() - n);
      if (is_length_word(d, i)) *reinterpret_cast<uint32_t*>(args[i]) = kCount;
    }
  }
}

long call(const Row& row, const uint64_t args[6]) {
  errno = 0;
  const long r = syscall(row.nr, args[0], args[1], args[2], args[3], args[4], args[5]);
  const int error = errno;
  if (r >= 3 && (row.desc.effects & kEffNewFd) != 0) close(static_cast<int>(r));
  errno = error;
  return r;
}

// For a call that may wait, some bad pointers bring the process home (so that nothing of them must be carried over a
// move); these are for bad_pointers_give_efault.cc.
bool comes_home(const SyscallDesc& d, unsigned bad) {
  if (d.home_fn != 0 || d.gate_fn != 0) return true;
  if (d.args[bad].dir == Dir::kInOut && d.args[bad].kind == ArgKind::kBuf) return true;
  if ((d.effects & kEffBlock) == 0) return false;
  return safe::needs_deref(d.args[bad]) || is_length_word(d, bad) ||
         (d.args[bad].flags & kArgOutAlways) != 0;
}

void bad_pointers(const Row& row, int fd, const char* kind) {
  for (unsigned i = 0; i < row.desc.nargs; ++i) {
    if (!has_memory(row.desc.args[i]) || comes_home(row.desc, i)) continue;
    uint64_t args[6];
    arguments(row, fd, args);
    args[i] = reinterpret_cast<uint64_t>(g_hole);
    const long r = call(row, args);
    printf("%s %s argument %u: %s\n", row.name, kind, i, r < 0 ? strerrorname_np(errno) : "ok");
  }
}

void good_pointers(const Row& row, int fd, const char* kind) {
  // What ext4 says to no flags at all depends on how far it has written the file.
  if (row.command == FS_IOC_SETFLAGS) return;
  uint64_t args[6];
  arguments(row, fd, args);
  const long r = call(row, args);
  printf("%s %s: %s\n", row.name, kind, r < 0 ? strerrorname_np(errno) : "ok");
}

template <typename Use>
void each_row(Use use) {
  for (unsigned nr = 0; nr < kSyscallCount; ++nr) {
    const SyscallDesc& d = kSyscalls[nr];
    const char* name = kSyscallTexts[nr].name;
    const bool native =
        d.route == Route::kUnknown || d.route == Route::kHome || d.route == Route::kDeny;
    if (native || name == nullptr || is_left_out(name) || d.sub != 0) continue;
    bool memory = false;
    for (unsigned i = 0; i < d.nargs; ++i) memory = memory || has_memory(d.args[i]);
    if (memory) use(Row{nr, 0, name, d});
  }
}

template <typename Use>
void each_command(unsigned nr, const CommandDesc* commands, const CommandText* texts, size_t count,
                  Use use) {
  for (size_t c = 0; c < count; ++c) {
    Row row{nr, commands[c].cmd, texts[c].name, kSyscalls[nr]};
    bool memory = false;
    for (unsigned i = 0; i < commands[c].nargs && row.desc.sub_arg + i < 6; ++i) {
      row.desc.args[row.desc.sub_arg + i] = commands[c].args[i];
      memory = memory || has_memory(commands[c].args[i]);
    }
    row.desc.effects = commands[c].effects;
    row.desc.gate_fn = 0;
    // FIONBIO: the descriptors would wait afterwards. SIOCOUTQNSD: who does not know it reads a whole ifreq first.
    const bool left = commands[c].cmd == 0x5421 || commands[c].cmd == 0x894b;
    if (memory && commands[c].route == Route::kFwd && !left) use(row);
  }
}

}  // namespace

int main() {
  g_buffers = new Buffer[6];
  g_vector = new iovec[2];
  g_hole = static_cast<char*>(
               OM_SYS(mmap(nullptr, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) +
           4096;
  int file = OM_SYS(open("file", O_RDWR | O_CREAT | O_NONBLOCK, 0600)), ends[2];
  OM_CHECK_EQ(write(file, "0123456789", 10), 10);
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
  int poll = OM_SYS(epoll_create1(0));
  const struct {
    int fd;
    const char* kind;
  } kinds[] = {{file, "file"}, {ends[0], "socket"}, {poll, "epoll"}, {-1, "none"}};
  om_test_ready();
  om_test_wait_moved();
  for (const auto& k : kinds) {
    auto bad = [&](const Row& row) { bad_pointers(row, k.fd, k.kind); };
    each_row(bad);
    each_command(SYS_fcntl, kFcntls, kFcntlsTexts, sizeof kFcntls / sizeof *kFcntls, bad);
    each_command(SYS_ioctl, kIoctls, kIoctlsTexts, sizeof kIoctls / sizeof *kIoctls, bad);
    each_command(SYS_prctl, kPrctls, kPrctlsTexts, sizeof kPrctls / sizeof *kPrctls, bad);
    fflush(stdout);
  }
  for (const auto& k : kinds) {
    auto good = [&](const Row& row) { good_pointers(row, k.fd, k.kind); };
    each_row(good);
    each_command(SYS_fcntl, kFcntls, kFcntlsTexts, sizeof kFcntls / sizeof *kFcntls, good);
    each_command(SYS_ioctl, kIoctls, kIoctlsTexts, sizeof kIoctls / sizeof *kIoctls, good);
    fflush(stdout);
  }
  delete[] g_buffers;
  OM_SYS(unlink("file"));
}
