// SPDX-License-Identifier: Apache-2.0
//
// AVX-512, AVX and x87 registers keep their values, to the bit: of threads whose system calls are forwarded while they
// are live, and of threads that only compute meanwhile. Short and long reads and writes alternate.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include <atomic>

namespace {

constexpr size_t kLong = 100000, kShort = 64;
constexpr int kLeast = 50;  // rounds after the moves

std::atomic<bool> g_moved{false};

// One system call of four arguments.
struct Call {
  long number, arguments[4];
};

struct File {
  int fd;
  unsigned char bytes[kLong];
  explicit File(int thread) {
    char name[] = "registers.XXXXXX";
    fd = OM_SYS(mkstemp(name));
    OM_SYS(unlink(name));
    for (size_t i = 0; i < kLong; ++i)
      bytes[i] = static_cast<unsigned char>(i * 7 + i / 256 + static_cast<size_t>(thread));
    OM_CHECK_EQ(pwrite(fd, bytes, kLong, 0), static_cast<ssize_t>(kLong));
  }
  ~File() { close(fd); }

  // Calls and checks until the moves are done and for some rounds more. `make` makes a Call with registers in use.
  template <typename Make>
  void work(Make make) {
    static thread_local unsigned char got[kLong];
    int after = 0;
    for (long round = 0; after < kLeast; ++round) {
      if (g_moved) ++after;
      const size_t n = round % 8 == 7 ? kLong : kShort + static_cast<size_t>(round % 50);
      const auto size = static_cast<long>(n);
      memset(got, 0, n);
      const Call read{SYS_pread64, {fd, reinterpret_cast<long>(got), size, 0}};
      OM_CHECK_EQ(make(read, round), size);
      OM_CHECK(memcmp(got, bytes, n) == 0);
      const Call write{SYS_pwrite64, {fd, reinterpret_cast<long>(bytes), size, 0}};
      OM_CHECK_EQ(make(write, round), size);
    }
  }
};

#define OM_CALL                                       \
  "mov 16(%[call]), %%rsi\n mov 24(%[call]), %%rdx\n" \
  "mov 32(%[call]), %%r10\n mov 8(%[call]), %%rdi\n"  \
  "mov (%[call]), %%rax\n syscall\n"
#define OM_CALL_CLOBBERS "memory", "cc", "rcx", "r11", "rdi", "rsi", "rdx", "r10"
#define OM_XMM_CLOBBERS                                                                    \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

void fill(unsigned char* to, size_t n, long round) {
  for (size_t i = 0; i < n; ++i)
    to[i] = static_cast<unsigned char>(i * 13 + (i >> 8) + static_cast<size_t>(round) * 29 + 1);
}

long call_with_zmm(const Call& call, long round) {
  unsigned char in[32 * 64], out[32 * 64] = {};
  uint16_t masks[8], masks_out[8] = {};
  fill(in, sizeof in, round);
  for (size_t i = 0; i < 8; ++i)
    masks[i] = static_cast<uint16_t>(0x1357 * (i + 1) + static_cast<size_t>(round));
  long result;
  asm volatile(
      ".irp "
      "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      " vmovdqu64 64*\\n(%[in]), %%zmm\\n\n.endr\n"
      ".irp n,0,1,2,3,4,5,6,7\n kmovw 2*\\n(%[masks]), %%k\\n\n.endr\n" OM_CALL
      ".irp "
      "n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
      " vmovdqu64 %%zmm\\n, 64*\\n(%[out])\n.endr\n"
      ".irp n,0,1,2,3,4,5,6,7\n kmovw %%k\\n, 2*\\n(%[masks_out])\n.endr\n"
      "vzeroupper\n"
      : "=&a"(result)
      : [in] "r"(in), [out] "r"(out), [masks] "r"(masks), [masks_out] "r"(masks_out),
        [call] "r"(&call)
      : OM_CALL_CLOBBERS, OM_XMM_CLOBBERS);
  OM_CHECK(memcmp(in, out, sizeof in) == 0);
  OM_CHECK(memcmp(masks, masks_out, sizeof masks) == 0);
  return result;
}

long call_with_ymm(const Call& call, long round) {
  unsigned char in[16 * 32], out[16 * 32] = {};
  fill(in, sizeof in, round);
  long result;
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu 32*\\n(%[in]), "
      "%%ymm\\n\n.endr\n" OM_CALL
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %%ymm\\n, 32*\\n(%[out])\n.endr\n"
      "vzeroupper\n"
      : "=&a"(result)
      : [in] "r"(in), [out] "r"(out), [call] "r"(&call)
      : OM_CALL_CLOBBERS, OM_XMM_CLOBBERS);
  OM_CHECK(memcmp(in, out, sizeof in) == 0);
  return result;
}

long call_with_x87(const Call& call, long round) {
  double in[8], out[8] = {};
  for (int i = 0; i < 8; ++i) in[i] = 1.0 / (static_cast<double>(round) + i + 3);
  unsigned char xmm[16 * 16], xmm_out[16 * 16] = {};
  fill(xmm, sizeof xmm, round);
  const uint16_t control = 0x0c7f;  // exceptions masked, precision 24 bits, rounding to zero
  uint16_t seen = 0;
  const uint32_t mxcsr = 0x7f80, usual = 0x1f80;  // exceptions masked, rounding to zero
  uint32_t mxcsr_seen = 0;
  long result;
  asm volatile(
      "fninit\n fldcw %[control]\n ldmxcsr %[mxcsr]\n"
      ".irp n,0,1,2,3,4,5,6,7\n fldl 8*\\n(%[in])\n.endr\n"
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movdqu 16*\\n(%[xmm]), "
      "%%xmm\\n\n.endr\n" OM_CALL
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movdqu %%xmm\\n, 16*\\n(%[xmm_out])\n.endr\n"
      ".irp n,7,6,5,4,3,2,1,0\n fstpl 8*\\n(%[out])\n.endr\n"
      "fnstcw %[seen]\n stmxcsr %[mxcsr_seen]\n fninit\n ldmxcsr %[usual]\n"
      : "=&a"(result), [seen] "=m"(seen), [mxcsr_seen] "=m"(mxcsr_seen)
      : [in] "r"(in), [out] "r"(out), [xmm] "r"(xmm), [xmm_out] "r"(xmm_out), [call] "r"(&call),
        [control] "m"(control), [mxcsr] "m"(mxcsr), [usual] "m"(usual)
      : OM_CALL_CLOBBERS, OM_XMM_CLOBBERS, "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",
        "st(6)", "st(7)");
  OM_CHECK(memcmp(in, out, sizeof in) == 0);
  OM_CHECK(memcmp(xmm, xmm_out, sizeof xmm) == 0);
  OM_CHECK_EQ(seen, control);
  OM_CHECK_EQ(mxcsr_seen, mxcsr);
  return result;
}

// The same in each: 16 lanes that depend on all that was computed before. A changed bit shows at the end.
using Lanes = float[16];
[[gnu::target("avx512f,prefer-vector-width=512"), gnu::optimize("O3"), gnu::noinline]] void
step_512(Lanes& lanes) {
  for (int turn = 0; turn < 20000; ++turn)
    for (float& lane : lanes) lane = lane * 0.75F + 1.0F / (1.0F + lane);
}
[[gnu::target("avx2"), gnu::optimize("O3"), gnu::noinline]] void step_256(Lanes& lanes) {
  for (int turn = 0; turn < 20000; ++turn)
    for (float& lane : lanes) lane = lane * 0.75F + 1.0F / (1.0F + lane);
}
[[gnu::noinline]] void step_x87(Lanes& lanes) {
  long double sum = 0;
  for (int turn = 0; turn < 20000; ++turn)
    for (float& lane : lanes) {
      sum = sum * 0.75L + 1.0L / (1.0L + static_cast<long double>(lane));
      lane = static_cast<float>(sum);
    }
}

// Repeats a computation, whose result is always the same.
void compute(void (*step)(Lanes&)) {
  Lanes expected = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  step(expected);
  int after = 0;
  while (after < kLeast) {
    if (g_moved) ++after;
    Lanes lanes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    step(lanes);
    OM_CHECK(memcmp(lanes, expected, sizeof lanes) == 0);
  }
}

}  // namespace

int main() {
  const bool avx512 = __builtin_cpu_supports("avx512f"), avx2 = __builtin_cpu_supports("avx2");
  File x87_file(1), ymm_file(2), zmm_file(3);
  om_test_ready();
  OmThread x87([&] { x87_file.work(call_with_x87); });
  OmThread computing_x87([] { compute(step_x87); });
  OmThread ymm([&] {
    if (avx2) ymm_file.work(call_with_ymm);
  });
  OmThread computing_256([&] {
    if (avx2) compute(step_256);
  });
  OmThread zmm([&] {
    if (avx512) zmm_file.work(call_with_zmm);
  });
  OmThread computing_512([&] {
    if (avx512) compute(step_512);
  });
  om_test_wait_moved();
  g_moved = true;
}
