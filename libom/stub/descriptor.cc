// SPDX-License-Identifier: Apache-2.0
//
// Calls that depend on the kind of a descriptor, which only home knows: files that show the memory of this
// very process (the program's memory is away, so the program comes home for them), transfers that are longer
// than one Call, and unbuffered transfers, which depend on where their memory lies.
#include "libom/stub/descriptor.h"

#include "libom/abi/kernel.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/execute.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/functions.h"
#include "libom/stub/stub.h"
#include "libom/stub/unpack.h"
#include "libom/stub/window.h"

namespace om::stub {
namespace {

using safe::sys;

constexpr long kProcMagic = 0x9fa0;
constexpr uint32_t kOAppend = 02000, kODirect = 040000;
constexpr uint32_t kFGetfl = 3;

// File type of a descriptor as in st_mode, or 0; its device number if it is a device.
uint32_t type_of(uint64_t fd, uint64_t& device) {
  uint64_t st[18];
  if (sys(kNr_fstat, fd, st) != 0) return 0;
  device = st[5];
  return static_cast<uint32_t>(st[3]) & 0170000;
}

bool equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

// Cuts the last component off a path and returns it; nullptr if there is none.
char* cut_last(char* path, long& length) {
  while (length > 0) {
    if (path[--length] != '/') continue;
    path[length] = 0;
    return path + length + 1;
  }
  return nullptr;
}

bool shows_memory(const char* name) {
  constexpr const char* kNames[] = {"mem",          "pagemap",   "smaps",
                                    "smaps_rollup", "numa_maps", "clear_refs"};
  for (const char* n : kNames) {
    if (equal(name, n)) return true;
  }
  return false;
}

constexpr uint64_t kProcPath = 256;

// The name of a file of /proc/PID or /proc/PID/task/TID of this process, in `path`; nullptr if it is another file.
// PID may be any thread's: /proc does not list those, but opens them.
const char* own_proc_file(uint64_t fd, char (&path)[kProcPath]) {
  uint64_t fs[15];
  if (sys(kNr_fstatfs, fd, fs) != 0 || static_cast<long>(fs[0]) != kProcMagic) return nullptr;
  long n = link_of(fd, path, sizeof path);
  if (n <= 0) return nullptr;
  const char* name = cut_last(path, n);
  const char* owner = name != nullptr ? cut_last(path, n) : nullptr;
  const char* above = owner != nullptr ? cut_last(path, n) : nullptr;
  if (above != nullptr && equal(above, "task")) owner = cut_last(path, n);
  uint64_t pid;
  if (owner == nullptr || !parse_number(owner, pid)) return nullptr;
  const long own = sys(kNr_getpid);
  return static_cast<long>(pid) == own || sys(kNr_tgkill, own, pid, 0) == 0 ? name : nullptr;
}

// Whether the file shows (or changes) memory of this process.
bool is_own_memory(uint64_t fd) {
  char path[kProcPath];
  const char* name = own_proc_file(fd, path);
  return name != nullptr && shows_memory(name);
}

// Whether a call writes its buffer, or messages, to the descriptor.
bool is_writing(uint64_t nr) {
  const SyscallDesc& row = syscall_desc(nr);
  const bool buffer = row.args[1].kind == ArgKind::kBuf && row.args[1].dir == Dir::kIn;
  return buffer || wait_desc(row).socket == SocketSide::kSends;
}

}  // namespace

// Context: exec
long link_of(uint64_t fd, char* to, uint64_t room) {
  // Not /proc/self, which is empty once the main thread has ended.
  char link[40] = "/proc/thread-self/fd/";
  uint32_t n = 21;
  char digits[12];
  uint32_t d = 0;
  auto v = static_cast<uint32_t>(fd);
  do {
    digits[d++] = static_cast<char>('0' + v % 10);
  } while ((v /= 10) != 0);
  while (d > 0) link[n++] = digits[--d];
  link[n] = 0;
  const long r = sys(kNr_readlink, link, to, room);
  if (r < 0) return r;
  if (r >= static_cast<long>(room)) return -k::kENAMETOOLONG;
  to[r] = 0;
  return r;
}

// Context: exec
bool lists_own_descriptors(uint64_t fd) {
  char path[kProcPath];
  const char* name = own_proc_file(fd, path);
  return name != nullptr && (equal(name, "fd") || equal(name, "fdinfo"));
}

// Context: exec
bool parse_number(const char* s, uint64_t& value) {
  value = 0;
  if (*s == 0) return false;
  for (; *s != 0; s++) {
    if (*s < '0' || *s > '9' || value > 1000000000) return false;
    value = value * 10 + static_cast<uint64_t>(*s - '0');
  }
  return true;
}

// Context: exec
long home_open(HomeCall& c) {
  const long r = generic(c);
  // For a file only a lease gives this answer: the deputy holds one, and drops it when the process is home.
  if (r == -k::kEAGAIN && c.exec->nr != kNr_openat2) return leave_it_to_program(c);
  if (r < 0 || !is_own_memory(static_cast<uint64_t>(r))) return r;
  // The check uses the kernel's own resolution of the name; opening such a file has no other effect.
  sys(kNr_close, r);
  return leave_it_to_program(c);
}

// Context: exec
long wire_transfer(HomeCall& c) {
  constexpr uint32_t kSifreg = 0100000, kSifblk = 060000, kSifchr = 020000, kSififo = 010000,
                     kSifsock = 0140000;
  const uint64_t fd = c.args[0], message_flags = c.args[2];
  const bool writing = is_writing(c.args[1]);
  if (is_ours(fd)) return kTransferOne;
  uint64_t device = 0;
  const uint32_t type = type_of(fd, device);
  const auto flags = static_cast<uint64_t>(sys(kNr_fcntl, fd, kFGetfl));
  if (type == 0 || static_cast<long>(flags) < 0)
    return kTransferOne;  // the call itself says what is wrong
  switch (type) {
    case kSifreg:
    case kSifblk: {
      // A single call locks out other appenders, checks alignment and stops short of a size limit without a
      // signal.
      if ((flags & kODirect) || (writing && (flags & kOAppend))) return kTransferHome;
      constexpr uint32_t kRlimitFsize = 1;
      uint64_t limit[2] = {0, 0};
      if (!writing) return kTransferPieces;
      return sys(kNr_getrlimit, kRlimitFsize, limit) == 0 && ~limit[0] == 0 ? kTransferPieces
                                                                            : kTransferHome;
    }
    case kSifchr:
      // Memory devices (null, zero, random, ...) do all that is asked for.
      return (device >> 8 & 0xfff) == 1 ? kTransferPieces : kTransferHome;
    case kSififo:
    case kSifsock: {
      // What can be read is less than a Call has room for, and so is what fits without waiting.
      if (!writing) return (message_flags & k::kMsgWaitall) ? kTransferHome : kTransferOne;
      constexpr uint32_t kSoType = 3, kSockStream = 1;
      uint32_t kind = 0, size = sizeof kind;
      if (type == kSifsock && sys(kNr_getsockopt, fd, k::kSolSocket, kSoType, &kind, &size) != 0)
        return kTransferHome;
      if (type == kSifsock && kind != kSockStream) return kTransferHome;
      const bool waits = (flags & k::kONonblock) == 0 && (message_flags & k::kMsgDontwait) == 0;
      return waits ? kTransferHome : kTransferOne;
    }
    default:
      // Directories, and kernel objects whose reads give what is there.
      return writing ? kTransferHome : kTransferOne;
  }
}

// Context: exec
bool transfers_own_memory(const HomeCall& c) {
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    if ((c.desc->memory_files >> i & 1) != 0 && is_own_memory(c.args[i])) return true;
  }
  return false;
}

// Context: exec
void again_aligned(HomeCall& c) {
  HomeExec& e = *c.exec;
  const uint64_t flags = static_cast<uint64_t>(sys(kNr_fcntl, c.args[0], kFGetfl));
  if (static_cast<long>(flags) < 0 || (flags & kODirect) == 0) return;
  const WaitDesc& w = wait_desc(e.nr);
  if (w.pieces != Pieces::kFile) return;
  if (w.pieces_vector) {
    leave_it_to_program(c);
    return;
  }
  const bool writing = is_writing(e.nr);
  constexpr uint64_t kInPage = kPageSize - 1;
  const uint64_t n = e.exec_args[2], from = e.exec_args[1];
  if (c.args[1] == 0 || is_bad(e, 1) || (from & kInPage) == (c.args[1] & kInPage)) return;
  if (n != c.args[2]) return;
  release_bounce(c.thread);
  uint8_t* p = bounce(c.thread, n + 2 * kPageSize);
  if (p == nullptr) return;
  const uint64_t to =
      ((reinterpret_cast<uint64_t>(p) + kInPage) & ~kInPage) + (c.args[1] & kInPage);
  if (writing) safe::copy_bytes(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), n);
  e.exec_args[1] = to;
  e.result = run_window(c.thread, c.desc);
}

}  // namespace om::stub
