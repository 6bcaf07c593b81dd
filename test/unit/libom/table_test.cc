// SPDX-License-Identifier: Apache-2.0
//
// Checks the compiled system call table by itself (dense, consistent, sorted, right look-ups) and against the C headers
// (numbers, commands, struct sizes). table_kernel_test.cc, in the same program, checks it against the running kernel.
#include <doctest/doctest.h>

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/kd.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <linux/serial.h>
#include <linux/sockios.h>
#include <linux/vt.h>
#include <mqueue.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <utime.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "libom/abi/gen/syscalls_desc.h"
#include "libom/abi/gen/syscalls_names.h"

using namespace om;

namespace {

bool is_count(ArgType type) {
  return type == ArgType::kI32 || type == ArgType::kU32 || type == ArgType::kI64 ||
         type == ArgType::kU64 || type == ArgType::kSize;
}

void check_arg(const ArgDesc& arg, const std::vector<ArgDesc>& all) {
  if (arg.kind != ArgKind::kBuf) return;
  CHECK(arg.elem > 0);
  const ArgDesc& counter = all.at(arg.len_arg);
  switch (arg.len) {
    case LenKind::kConst:
      break;
    case LenKind::kRet:
    case LenKind::kIovRet:
      CHECK(arg.dir == Dir::kOut);
      [[fallthrough]];
    case LenKind::kArg:
    case LenKind::kIov:
    case LenKind::kFdSet:
      CHECK(counter.kind == ArgKind::kVal);
      CHECK(is_count(counter.type));
      break;
    case LenKind::kDeref:
      CHECK(arg.dir != Dir::kIn);
      CHECK(counter.kind == ArgKind::kBuf);
      CHECK(counter.dir == Dir::kInOut);
      CHECK(counter.type == ArgType::kU32);
      CHECK(counter.elem == 4);
      break;
    case LenKind::kDerefIn:
      CHECK(arg.dir == Dir::kIn);
      CHECK(counter.kind == ArgKind::kBuf);
      break;
  }
  if (arg.len == LenKind::kIov || arg.len == LenKind::kIovRet) CHECK(arg.elem == 16);
  if (arg.len == LenKind::kFdSet) CHECK(arg.len_arg == 0);
  const uint8_t out_flags = kArgOutPositive | kArgOutEintr | kArgOutAlways | kArgOutZeroOnly;
  if (arg.dir == Dir::kIn) CHECK((arg.flags & out_flags) == 0);
}

TEST_CASE("every row is consistent in itself") {
  for (uint32_t nr = 0; nr < kSyscallCount; nr++) {
    const SyscallDesc& d = kSyscalls[nr];
    INFO("nr " << nr << " " << (syscall_name(nr) != nullptr ? syscall_name(nr) : "hole"));
    CHECK((d.route == Route::kUnknown) == (syscall_name(nr) == nullptr));
    REQUIRE(d.nargs <= 6);
    std::vector<ArgDesc> args(d.args, d.args + d.nargs);
    for (const ArgDesc& arg : args) {
      CHECK(arg.kind != ArgKind::kNone);
      check_arg(arg, args);
    }
    for (int i = d.nargs; i < 6; i++) CHECK(d.args[i].kind == ArgKind::kNone);
    const bool local = d.route == Route::kLocal || d.route == Route::kVirt;
    if (local) CHECK(d.gate_fn != 0);
    if (!local && d.route != Route::kSplit) CHECK((d.gate_fn | d.home_fn | d.sub) == 0);
    if (d.route == Route::kSplit) CHECK((d.gate_fn | d.home_fn | d.sub) != 0);
    CHECK((d.route == Route::kDeny) == (d.deny_errno != 0));
    if (d.effects & kEffNewFd) CHECK(d.ret == RetType::kFd);
    if (d.sub != kSub_none) CHECK(d.cmd_arg < d.sub_arg);
  }
}

TEST_CASE("rows have the numbers and names of the kernel header") {
  struct Number {
    uint32_t header, table;
    const char* name;
  };
  static const Number kNumbers[] = {
#define OM_TEST_NUMBER(header, table, name) {header, table, name},
#include "libom/abi/gen/syscalls_tests.inc"
  };
  for (const Number& n : kNumbers) {
    CHECK(n.header == n.table);
    CHECK(std::string(syscall_name(n.header)) == n.name);
  }
  struct TableRow {
    uint32_t nr;
    const char* name;
  };
  static const TableRow kRows[] = {
#define OM_TEST_ROW(nr, name) {nr, name},
#include "libom/abi/gen/syscalls_tests.inc"
  };
  for (const TableRow& row : kRows) CHECK(std::string(syscall_name(row.nr)) == row.name);
  CHECK(std::size(kNumbers) > 300);
  CHECK(std::rbegin(kRows)->nr + 1 == kSyscallCount);
  const auto known = std::count_if(std::begin(kSyscalls), std::end(kSyscalls),
                                   [](const SyscallDesc& d) { return d.route != Route::kUnknown; });
  CHECK(static_cast<size_t>(known) == std::size(kRows));
  CHECK(syscall_desc(kSyscallCount).route == Route::kUnknown);
  CHECK(syscall_desc(~0ull).route == Route::kUnknown);
  CHECK(syscall_desc(0x40000000).route == Route::kUnknown);  // x32 calls have no rows
}

#define OM_TEST_STRUCT(name, bytes, ...) \
  static_assert(sizeof(__VA_ARGS__) == (bytes), name " has another size in the C headers");
#define OM_TEST_CONST(name, value, header) \
  static_assert((header) == (value), name " has another value in the C headers");
#include "libom/abi/gen/syscalls_tests.inc"

template <size_t kCount>
void check_sub(const char* name, const CommandDesc (&rows)[kCount]) {
  INFO(name);
  CHECK(std::is_sorted(rows, rows + kCount,
                       [](const CommandDesc& a, const CommandDesc& b) { return a.cmd < b.cmd; }));
  for (const CommandDesc& row : rows) {
    INFO("command " << row.cmd);
    REQUIRE(row.nargs <= 4);
    CHECK((row.route == Route::kDeny) == (row.deny_errno != 0));
    CHECK(find_in(rows, kCount, row.cmd) == &row);
    for (int i = row.nargs; i < 4; i++) CHECK(row.args[i].kind == ArgKind::kNone);
  }
}

TEST_CASE("sub-tables are sorted, fit their calls and agree with the headers") {
  check_sub("ioctls", kIoctls);
  check_sub("fcntls", kFcntls);
  check_sub("prctls", kPrctls);
  check_sub("semctls", kSemctls);
  check_sub("msgctls", kMsgctls);
  check_sub("sockopts", kSockopts);
  struct Command {
    std::string table;
    uint32_t cmd;
    const char* name;
    uint32_t header;
  };
  static const Command kCommands[] = {
#define OM_TEST_COMMAND(table, cmd, name, header) \
  {#table, cmd, name, static_cast<uint32_t>(header)},
#include "libom/abi/gen/syscalls_tests.inc"
  };
  for (const Command& c : kCommands) {
    INFO(c.name);
    CHECK(c.header == (c.table == "kSockopts" ? c.cmd & 0xffff : c.cmd));
  }
  CHECK(std::size(kCommands) > 150);
  // Commands whose number encodes a size other than what the kernel copies: the argument is the value itself, the
  // number says "long" but the kernel copies an int, or the kernel writes only a part.
  const std::set<uint32_t> other = {TIOCSIG,         FICLONE,           FS_IOC_GETFLAGS,
                                    FS_IOC_SETFLAGS, FS_IOC_GETVERSION, FS_IOC_SETVERSION,
                                    BLKBSZGET,       FS_IOC_GETFSLABEL};
  for (const CommandDesc& row : kIoctls) {
    if (_IOC_SIZE(row.cmd) == 0 || other.count(row.cmd) != 0) continue;
    INFO("ioctl " << row.cmd);
    CHECK(row.nargs == 1);
    CHECK(row.args[0].elem == _IOC_SIZE(row.cmd));
    if (row.args[0].kind != ArgKind::kBuf) continue;
    const uint32_t dir = (row.args[0].dir != Dir::kOut ? _IOC_WRITE : 0u) |
                         (row.args[0].dir != Dir::kIn ? _IOC_READ : 0u);
    CHECK(dir == _IOC_DIR(row.cmd));
  }
}

TEST_CASE("commands are found by the call's arguments") {
  const SyscallDesc& ioctl_row = syscall_desc(kNr_ioctl);
  const uint64_t tcgets[6] = {0, 0xffffffff00000000ull | TCGETS, 0x1234};  // commands have 32 bits
  const CommandDesc* command = find_command(ioctl_row, tcgets);
  REQUIRE(command != nullptr);
  CHECK(arg_desc(ioctl_row, command, 2).elem == 36);
  CHECK(arg_desc(ioctl_row, command, 0).type == ArgType::kFd);
  CHECK(arg_desc(ioctl_row, nullptr, 2).kind == ArgKind::kVal);
  CHECK(std::string(command_name(ioctl_row.sub, TCGETS)) == "TCGETS");
  const uint64_t unknown[6] = {0, 0x12345678, 0};
  CHECK(find_command(ioctl_row, unknown) == nullptr);
  CHECK(unlisted_route(ioctl_row.sub) == Route::kHome);

  const SyscallDesc& option_row = syscall_desc(kNr_setsockopt);
  const uint64_t filter[6] = {0, SOL_SOCKET, SO_ATTACH_FILTER};
  const uint64_t type[6] = {0, SOL_SOCKET, SO_TYPE};
  const uint64_t wide[6] = {0, SOL_SOCKET, 0x1001a};  // must not be taken for option 26
  REQUIRE(find_command(option_row, filter) != nullptr);
  CHECK(find_command(option_row, filter)->route == Route::kHome);
  CHECK(find_command(option_row, type) == nullptr);
  CHECK(find_command(option_row, wide) == nullptr);
  CHECK(unlisted_route(option_row.sub) == Route::kFwd);

  const uint64_t any[6] = {};
  CHECK(find_command(syscall_desc(kNr_read), any) == nullptr);
  CHECK(unlisted_route(kSub_none) == Route::kUnknown);
}

}  // namespace
