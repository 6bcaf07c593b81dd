// SPDX-License-Identifier: Apache-2.0
//
// Checks a row of the system call table against the running kernel. Every buffer of a call ends at an unreadable page
// and has exactly the bytes that the row says. Then
//  - the call must work: the kernel touches no byte that is not in the row;
//  - with one buffer moved a byte nearer to the page it must fail with EFAULT: no byte is too many;
//  - run twice on different patterns, an out buffer must have been written exactly where the row
//    says that it is copied back, an inout buffer nowhere else.
// For unit tests (doctest); one thread.
#pragma once

#include <doctest/doctest.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <vector>

#include "libom/abi/gen/syscalls_desc.h"
#include "libom/abi/gen/syscalls_names.h"

namespace om {

constexpr size_t kFenceBytes = 1 << 17;  // no buffer of a test is larger

// Memory that ends at an unreadable page.
class Fence {
 public:
  Fence() {
    void* p = mmap(nullptr, kFenceBytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    REQUIRE(p != MAP_FAILED);
    base_ = static_cast<uint8_t*>(p);
    REQUIRE(mprotect(base_ + kFenceBytes, 4096, PROT_NONE) == 0);
  }
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;
  ~Fence() { munmap(base_, kFenceBytes + 4096); }
  uint8_t* begin() { return base_; }
  uint8_t* end() { return base_ + kFenceBytes; }

 private:
  uint8_t* base_ = nullptr;
};

// An argument of a test call: a number, a string, or the first bytes of a buffer (rest: pattern).
struct Value {
  uint64_t number = 0;
  bool buffer = false;
  std::string bytes;
  Value(int v) : number(static_cast<uint64_t>(v)) {}
  Value(long v) : number(static_cast<uint64_t>(v)) {}
  Value(unsigned long v) : number(v) {}
  Value(unsigned v) : number(v) {}
  Value(const char* text) : buffer(true), bytes(text, strlen(text) + 1) {}
  explicit Value(std::string b) : buffer(true), bytes(std::move(b)) {}
};

inline const Value kFill{std::string()};
inline const Value kNull{0};

template <typename T>
Value of(const T& object) {
  return Value(std::string(reinterpret_cast<const char*>(&object), sizeof(object)));
}

constexpr int kOnce = 1;     // not repeatable: one run, no EFAULT run
constexpr int kLoose = 2;    // the kernel does not touch every byte of a buffer: no EFAULT run
constexpr int kMayFail = 4;  // an errno other than EFAULT is a result too; no EFAULT run

struct Call {
  uint32_t nr;
  std::vector<Value> values;
  int how = 0;
};

class Judge {
 public:
  // Makes the call with its buffers at the fences and judges it. Returns the result of the last plain run.
  long judge(const Call& call) {
    desc_ = &syscall_desc(call.nr);
    REQUIRE(call.values.size() == desc_->nargs);
    uint64_t numbers[6] = {};
    for (unsigned i = 0; i < desc_->nargs; i++) numbers[i] = call.values[i].number;
    command_ = find_command(*desc_, numbers);
    std::string name = syscall_name(call.nr);
    if (command_ != nullptr) name += std::string(" ") + command_name(desc_->sub, command_->cmd);
    INFO(name);
    if (unlisted_route(desc_->sub) == Route::kHome) REQUIRE(command_ != nullptr);
    const Run first = run(call, 0xa5, -1);
    last_ = first;
    if (first.ret == -ENOSYS || first.ret == -ENOTTY || first.ret == -EOPNOTSUPP ||
        first.ret == -EPERM) {
      MESSAGE("skipped: ", name, ": ", std::string(strerror(static_cast<int>(-first.ret))));
      return first.ret;
    }
    CAPTURE(first.ret);
    CHECK(first.ret != -EFAULT);
    if (!(call.how & kMayFail)) CHECK(first.ret >= 0);
    if (!(call.how & kOnce)) last_ = run(call, 0x5a, -1);
    for (unsigned i = 0; i < desc_->nargs; i++) {
      if (call.values[i].buffer) judge_copy(i, first, last_, call.how & kOnce);
    }
    for (unsigned i = 0; i < desc_->nargs && call.how == 0; i++) {
      const ArgDesc& a = arg(i);
      if (a.kind != ArgKind::kBuf || !call.values[i].buffer || first.before[i].empty()) continue;
      const bool bounded = a.len == LenKind::kRet || a.len == LenKind::kDeref;
      if (bounded && used(a, first) < cap(a, first)) continue;
      CAPTURE(i);
      CHECK(run(call, 0xa5, static_cast<int>(i)).ret == -EFAULT);
    }
    return last_.ret;
  }

  // What the last plain run left in a buffer.
  const std::string& bytes(unsigned i) const { return last_.after[i]; }
  template <typename T>
  T as(unsigned i) const {
    T value{};
    memcpy(&value, last_.after[i].data(), std::min(sizeof(T), last_.after[i].size()));
    return value;
  }

 private:
  struct Run {
    long ret = 0;
    uint64_t args[6] = {};
    std::string before[6], after[6];
  };

  static long raw(uint64_t nr, const uint64_t* a) {
    register uint64_t r10 asm("r10") = a[3];
    register uint64_t r8 asm("r8") = a[4];
    register uint64_t r9 asm("r9") = a[5];
    long ret;
    asm volatile("syscall"
                 : "=a"(ret)
                 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return ret;
  }

  const ArgDesc& arg(unsigned i) const { return arg_desc(*desc_, command_, i); }

  static uint32_t word(const std::string& bytes) {
    uint32_t value = 0;
    if (bytes.size() >= sizeof(value)) memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }

  uint64_t cap(const ArgDesc& a, const Run& r) const {
    uint64_t n = r.args[a.len_arg];
    const ArgType counter = arg(a.len_arg).type;
    if (counter == ArgType::kU32) n = static_cast<uint32_t>(n);
    if (counter == ArgType::kI32) n = static_cast<uint32_t>(std::max(0, static_cast<int32_t>(n)));
    switch (a.len) {
      case LenKind::kConst:
        return a.elem;
      case LenKind::kArg:
      case LenKind::kRet:
        return n * a.elem + a.plus;
      case LenKind::kFdSet:
        return (n + 63) / 64 * 8;
      case LenKind::kDeref:
      case LenKind::kDerefIn:
        return word(r.before[a.len_arg]) + a.plus;
      case LenKind::kIov:
      case LenKind::kIovRet:
        break;
    }
    return n * 16;
  }

  uint64_t used(const ArgDesc& a, const Run& r) const {
    bool now = r.ret >= 0;
    if (a.flags & kArgOutPositive) now = r.ret > 0;
    if (a.flags & kArgOutZeroOnly) now = r.ret == 0;
    if (a.flags & kArgOutEintr) now = r.ret == -EINTR;
    if (a.flags & kArgOutAlways) now = true;
    if (!now || a.dir == Dir::kIn) return 0;
    if (a.len == LenKind::kDeref) return std::min<uint64_t>(cap(a, r), word(r.after[a.len_arg]));
    if (a.len != LenKind::kRet) return cap(a, r);
    return std::min<uint64_t>(cap(a, r), static_cast<uint64_t>(r.ret) * a.elem + a.plus);
  }

  // Makes one call, with argument `shifted` one byte too near to its fence.
  Run run(const Call& call, uint8_t pattern, int shifted) {
    Run r;
    for (unsigned i = 0; i < desc_->nargs; i++) {
      r.args[i] = call.values[i].number;
      r.before[i] = call.values[i].bytes;  // words that hold lengths come before any size is known
    }
    uint8_t* at[6] = {};
    for (unsigned i = 0; i < desc_->nargs; i++) {
      if (!call.values[i].buffer) continue;
      REQUIRE(arg(i).kind != ArgKind::kVal);
      const bool text = arg(i).kind == ArgKind::kStr;
      const uint64_t size =
          text ? std::min<uint64_t>(r.before[i].size(), arg(i).elem) : cap(arg(i), r);
      REQUIRE(size <= kFenceBytes);
      r.before[i] = (r.before[i] + std::string(size, static_cast<char>(pattern))).substr(0, size);
    }
    for (unsigned i = 0; i < desc_->nargs; i++) {
      if (!call.values[i].buffer) continue;
      const size_t size = r.before[i].size();
      const size_t shift = static_cast<int>(i) == shifted ? 1 : 0;
      memset(fences_[i].begin(), pattern, kFenceBytes);
      at[i] = fences_[i].end() - size + shift;
      memcpy(at[i], r.before[i].data(), size - shift);
      r.args[i] = reinterpret_cast<uint64_t>(at[i]);
    }
    r.ret = raw(call.nr, r.args);
    for (unsigned i = 0; i < desc_->nargs && shifted < 0; i++) {
      if (!call.values[i].buffer) continue;
      r.after[i].assign(reinterpret_cast<char*>(at[i]), r.before[i].size());
      CHECK(std::all_of(fences_[i].begin(), at[i], [&](uint8_t b) { return b == pattern; }));
    }
    return r;
  }

  void judge_copy(unsigned i, const Run& first, const Run& second, bool once) {
    const ArgDesc& a = arg(i);
    const uint64_t copied = a.kind == ArgKind::kBuf ? used(a, first) : 0;
    CAPTURE(i);
    CAPTURE(copied);
    uint64_t missed = 0;
    uint64_t beyond = 0;
    for (uint64_t k = 0; k < first.before[i].size(); k++) {
      const bool written =
          first.before[i][k] != first.after[i][k] || second.before[i][k] != second.after[i][k];
      if (k >= copied && written) beyond++;
      if (k < copied && !written) missed++;
    }
    CHECK(beyond == 0);
    if (a.dir == Dir::kOut && !once) CHECK(missed == 0);
  }

  Fence fences_[6];
  const SyscallDesc* desc_ = nullptr;
  const CommandDesc* command_ = nullptr;
  Run last_;
};

}  // namespace om
