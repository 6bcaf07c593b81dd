// SPDX-License-Identifier: Apache-2.0
//
// pinned_ranges() of classify.h: applies the table rows of the calls that stay at home to the program's memory.
#include <sys/uio.h>

#include <algorithm>

#include "deputy/home/classify.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/memory.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

constexpr uint64_t kMaxIov = 1024;
// struct mmsghdr, struct timespec, the kernel's sigset_t
constexpr uint64_t kMessageBytes = 64, kTimeBytes = 16, kMaskBytes = 8;

class Collector {
 public:
  explicit Collector(const Target& target) : target_(target) {}

  void add(uint64_t address, uint64_t bytes) {
    if (address != 0 && bytes != 0 && bytes < (uint64_t{1} << 40))
      ranges_.push_back({address, address + bytes});
  }
  template <class T>
  T get(uint64_t address) {
    auto value = target_.memory.get<T>(address);
    return value ? *value : T{};
  }
  void add_iov(uint64_t address, uint64_t count) {
    const auto parts = parts_of_vector(target_, address, count, UINT64_MAX);
    if (count <= kMaxIov) add(address, count * sizeof(iovec));
    for (const Range& part : parts) add(part.lo, part.hi - part.lo);
  }
  void add_message(uint64_t address) {
    struct Msghdr {
      uint64_t name, namelen, iov, iovlen, control, controllen, flags;
    };
    add(address, sizeof(Msghdr));
    const auto h = get<Msghdr>(address);
    add(h.name, h.namelen & 0xffffffff);
    add_iov(h.iov, h.iovlen);
    add(h.control, h.controllen);
  }

  std::vector<Range> take() { return std::move(ranges_); }

 private:
  const Target& target_;
  std::vector<Range> ranges_;
};

uint64_t buffer_bytes(Collector& c, const ArgDesc& a, const uint64_t* args) {
  switch (a.len) {
    case LenKind::kConst:
      return a.elem;
    case LenKind::kArg:
    case LenKind::kRet:
      return std::min<uint64_t>(args[a.len_arg], uint64_t{1} << 31) * a.elem + a.plus;
    case LenKind::kDeref:
    case LenKind::kDerefIn:
      return args[a.len_arg] != 0 ? c.get<uint32_t>(args[a.len_arg]) : 0;
    case LenKind::kFdSet:
      return (uint64_t{static_cast<uint32_t>(args[0])} + 63) / 64 * 8;
    case LenKind::kIov:
    case LenKind::kIovRet:
      break;
  }
  return 0;
}

void add_call(Collector& c, const ThreadState& s) {
  const uint64_t* args = s.args;
  const WaitDesc& w = wait_desc(s.nr);
  if (w.rest == Shape::kMessage) {
    c.add_message(args[1]);
    return;
  }
  if (w.rest == Shape::kMessages) {
    const uint64_t count = std::min<uint64_t>(args[2], kMaxIov);
    for (uint64_t i = 0; i < count; i++) c.add_message(args[1] + i * kMessageBytes);
    c.add(args[1], count * kMessageBytes);
    if (w.between != 0) c.add(args[w.between], kTimeBytes);
    return;
  }
  if (w.mask == MaskAt::kBehind && args[w.mask_arg] != 0)
    c.add(c.get<uint64_t>(args[w.mask_arg]), kMaskBytes);
  const SyscallDesc& desc = syscall_desc(s.nr);
  const CommandDesc* command = find_command(desc, args);
  for (unsigned i = 0; i < desc.nargs; i++) {
    const ArgDesc& a = arg_desc(desc, command, i);
    if (a.kind == ArgKind::kStr) c.add(args[i], a.elem);
    if (a.kind != ArgKind::kBuf || args[i] == 0) continue;
    if (a.len == LenKind::kIov || a.len == LenKind::kIovRet) {
      c.add_iov(args[i], args[a.len_arg]);
    } else {
      c.add(args[i], buffer_bytes(c, a, args));
    }
  }
}

}  // namespace

std::vector<Range> parts_of_vector(const Target& target, uint64_t address, uint64_t count,
                                   uint64_t bytes) {
  std::vector<Range> parts;
  for (uint64_t i = 0; count <= kMaxIov && i < count && bytes > 0; i++) {
    const auto part = target.memory.get<iovec>(address + i * sizeof(iovec));
    if (!part) continue;
    const uint64_t base = reinterpret_cast<uint64_t>(part->iov_base);
    const uint64_t n = std::min<uint64_t>(part->iov_len, bytes);
    parts.push_back({base, base + n});
    bytes -= n;
  }
  return parts;
}

std::vector<Range> pinned_ranges(const Target& target, const std::vector<ThreadPlan>& plans) {
  Collector c(target);
  for (const auto& plan : plans) {
    if (plan.state.kind == kThreadWaiting) add_call(c, plan.state);
  }
  auto ranges = c.take();
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.lo < b.lo; });
  return ranges;
}

}  // namespace om::deputy
