// SPDX-License-Identifier: Apache-2.0
//
// common/cpu/xstate.h: conversion between made-up but realistic machines (Intel and AMD offsets, AVX2
// only, with protection keys, AMX, APX), refusals, hostile tables and areas, and this CPU: the
// state of a stopped child goes through a foreign layout and back, and the child goes on with its
// registers.
//
// Over 500 lines, because the made-up machines and the helpers serve both halves.
#include <doctest/doctest.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "common/cpu/xstate.h"

namespace om {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kAvx512 =
    xstate_bit(kXstateOpmask) | xstate_bit(kXstateZmmHi256) | xstate_bit(kXstateHi16Zmm);
constexpr uint64_t kPkru = xstate_bit(kXstatePkru);
constexpr uint64_t kAmx = xstate_bit(kXstateTileConfig) | xstate_bit(kXstateTileData);
constexpr uint32_t kIntelMxcsr = 0xffff;
constexpr uint32_t kAmdMxcsr = 0x2ffff;  // with MM, the misaligned mode

struct Part {
  int component;
  uint32_t offset, size;
};

XstateLayout layout(uint32_t mxcsr_mask, const std::vector<Part>& parts) {
  XstateLayout out;
  out.mxcsr_mask = mxcsr_mask;
  out.xcr0 = 3;
  out.size = kXsaveMinBytes;
  for (const Part& part : parts) {
    out.xcr0 |= xstate_bit(part.component);
    out.comp[part.component] = {part.offset, part.size};
    out.size = std::max(out.size, part.offset + part.size);
  }
  return out;
}

const std::vector<Part> kAvxPart = {{kXstateAvx, 576, 256}};

// Offsets as in CPUID leaf 0xD of such machines.
XstateLayout avx2_only() { return layout(kIntelMxcsr, kAvxPart); }
XstateLayout intel_avx512() {
  return layout(kIntelMxcsr,
                {{2, 576, 256}, {5, 1088, 64}, {6, 1152, 512}, {7, 1664, 1024}, {9, 2688, 8}});
}
XstateLayout intel_amx() {
  return layout(kIntelMxcsr, {{2, 576, 256},
                              {5, 1088, 64},
                              {6, 1152, 512},
                              {7, 1664, 1024},
                              {9, 2688, 8},
                              {17, 2752, 64},
                              {18, 2816, 8192}});
}
XstateLayout amd_avx512() {
  return layout(kAmdMxcsr,
                {{2, 576, 256}, {5, 832, 64}, {6, 896, 512}, {7, 1408, 1024}, {9, 2432, 8}});
}

template <class T>
void put(Bytes& area, size_t offset, T value) {
  REQUIRE(offset + sizeof value <= area.size());
  memcpy(area.data() + offset, &value, sizeof value);
}

template <class T>
T get(const Bytes& area, size_t offset) {
  T value;
  memcpy(&value, area.data() + offset, sizeof value);
  return value;
}

// An area with the components of `bv` filled with bytes that depend on component and position only.
Bytes filled(const XstateLayout& of, uint64_t bv) {
  Bytes area(of.size);
  if ((bv & 1) != 0) {
    for (size_t i = 0; i < 24; ++i) area[i] = std::byte(0x10 + i);
    for (size_t i = 32; i < 160; ++i) area[i] = std::byte(i);
  }
  if ((bv & 2) != 0) {
    for (size_t i = 160; i < 416; ++i) area[i] = std::byte(i * 3);
  }
  put<uint32_t>(area, 24, 0x1fa0);
  put<uint32_t>(area, 28, of.mxcsr_mask);
  put<uint64_t>(area, 512, bv);
  for (int i = 2; i < kXstateComponents; ++i) {
    if ((bv & xstate_bit(i)) == 0) continue;
    for (uint32_t at = 0; at < of.comp[i].size; ++at) {
      area[of.comp[i].offset + at] = std::byte(i * 37 + at * 11 + 1);
    }
    if (i == kXstatePkru) put<uint64_t>(area, of.comp[i].offset, 0x55555554);
  }
  return area;
}

Bytes converted(const XstateLayout& from, const Bytes& area, const XstateLayout& to) {
  Bytes out(to.size, std::byte{0xee});
  Result<void> done = convert(from, area, to, out);
  REQUIRE_MESSAGE(done.ok(), done.error().text());
  CHECK(validate(to, out).ok());
  return out;
}

Error refused(const XstateLayout& from, const Bytes& area, const XstateLayout& to) {
  Bytes out(to.size, std::byte{0xee});
  Result<void> done = convert(from, area, to, out);
  REQUIRE_FALSE(done.ok());
  return done.error();
}

TEST_CASE("every component lands at the target's offset, and comes back") {
  for (const XstateLayout& from : {intel_avx512(), amd_avx512(), intel_amx()}) {
    for (const XstateLayout& to : {intel_avx512(), amd_avx512(), intel_amx()}) {
      uint64_t bv = from.xcr0 & to.xcr0;
      Bytes area = filled(from, bv);
      Bytes out = converted(from, area, to);
      Bytes expected = filled(to, bv);
      CHECK(out == expected);
      CHECK(converted(to, out, from) == area);
    }
  }
}

TEST_CASE("each component alone") {
  XstateLayout from = intel_avx512(), to = amd_avx512();
  for (int i = 0; i < kXstateComponents; ++i) {
    if ((from.xcr0 & xstate_bit(i)) == 0) continue;
    // A changed MXCSR (filled() has one) belongs to SSE.
    uint64_t bv = xstate_bit(i) | xstate_bit(kXstateSse);
    Bytes expected = filled(to, bv);
    if (i != kXstateX87) put<uint16_t>(expected, 0, 0x37f);
    CHECK(converted(from, filled(from, bv), to) == expected);
  }
}

TEST_CASE("components in their initial state come out as that, whatever bytes stood there") {
  XstateLayout from = intel_avx512(), to = amd_avx512();
  Bytes area = filled(from, from.xcr0);
  put<uint64_t>(area, 512, 0);
  put<uint32_t>(area, 24, 0x1f80);
  Bytes out = converted(from, area, to);
  Bytes expected(to.size);
  put<uint16_t>(expected, 0, 0x37f);
  put<uint32_t>(expected, 24, 0x1f80);
  put<uint32_t>(expected, 28, to.mxcsr_mask);
  CHECK(out == expected);
}

TEST_CASE("software bytes and reserved bytes of the legacy area do not travel") {
  XstateLayout from = avx2_only(), to = intel_avx512();
  Bytes area = filled(from, 7);
  for (size_t i = 416; i < 512; ++i) area[i] = std::byte{0xcc};
  Bytes out = converted(from, area, to);
  for (size_t i = 416; i < 512; ++i) CHECK(out[i] == std::byte{0});
}

TEST_CASE("live state that the target lacks is refused by name") {
  Bytes area = filled(intel_avx512(), 3 | kAvx512);
  CHECK(refused(intel_avx512(), area, avx2_only()).err == ENOTSUP);
  CHECK(refused(intel_avx512(), area, avx2_only()).what == "AVX-512 state is live");
  CHECK(refused(intel_amx(), filled(intel_amx(), 3 | kAmx), intel_avx512()).what ==
        "AMX state is live");
  CHECK(refused(intel_amx(), filled(intel_amx(), 3 | kAmx | kAvx512), avx2_only()).what ==
        "AVX-512, AMX state is live");
  XstateLayout sse = layout(kIntelMxcsr, {});
  CHECK(refused(avx2_only(), filled(avx2_only(), 7), sse).what == "AVX state is live");
  XstateLayout apx = layout(kIntelMxcsr, {{2, 576, 256}, {19, 960, 128}});
  CHECK(refused(apx, filled(apx, xstate_bit(19)), avx2_only()).what == "APX state is live");
  XstateLayout lwp = layout(kAmdMxcsr, {{2, 576, 256}, {62, 832, 128}});
  CHECK(refused(lwp, filled(lwp, xstate_bit(62)), avx2_only()).what ==
        "component-62 state is live");
}

TEST_CASE("state that is all zeros is not live, even with its bit set") {
  XstateLayout from = intel_avx512(), to = avx2_only();
  Bytes area = filled(from, 7);
  put<uint64_t>(area, 512, 7 | kAvx512);
  CHECK(live_components(from, area) == 7);
  Bytes expected = filled(to, 7);
  CHECK(converted(from, area, to) == expected);
  area[from.comp[kXstateHi16Zmm].offset + 1023] = std::byte{1};
  CHECK(live_components(from, area) == (7 | xstate_bit(kXstateHi16Zmm)));
  CHECK(refused(from, area, to).what == "AVX-512 state is live");
}

TEST_CASE("protection keys") {
  XstateLayout with = intel_avx512(), without = avx2_only();
  Bytes area = filled(with, 7 | kPkru);
  SUBCASE("the kernel's default is dropped") {
    CHECK(converted(with, area, without) == filled(without, 7));
  }
  SUBCASE("a PKRU that restricts key 0 is not") {
    put<uint32_t>(area, with.comp[kXstatePkru].offset, 0x55555556);
    CHECK(refused(with, area, without).what == "protection-key state is live");
  }
  SUBCASE("where the source has none, the default is given") {
    CHECK(converted(without, filled(without, 7), with) == filled(with, 7 | kPkru));
  }
  SUBCASE("an initial one stays initial") {
    CHECK(converted(with, filled(with, 7), amd_avx512()) == filled(amd_avx512(), 7));
  }
  SUBCASE("a value of the program's travels") {
    put<uint32_t>(area, with.comp[kXstatePkru].offset, 0x1234);
    Bytes out = converted(with, area, amd_avx512());
    CHECK(get<uint32_t>(out, amd_avx512().comp[kXstatePkru].offset) == 0x1234);
  }
}

TEST_CASE("MXCSR") {
  XstateLayout amd = amd_avx512(), intel = intel_avx512();
  Bytes area = filled(amd, 3);
  SUBCASE("rounding, masks, flush-to-zero and flags travel") {
    put<uint32_t>(area, 24, 0xffbf);
    CHECK(get<uint32_t>(converted(amd, area, intel), 24) == 0xffbf);
  }
  SUBCASE("bits that no CPU of the source has are masked") {
    put<uint32_t>(area, 24, 0xfff01f80);
    CHECK(get<uint32_t>(converted(amd, area, intel), 24) == 0x1f80);
    put<uint32_t>(area, 24, 0xffff1f80);
    CHECK(get<uint32_t>(converted(intel, area, amd), 24) == 0x1f80);
  }
  SUBCASE("a mode that the target lacks is refused") {
    put<uint32_t>(area, 24, 0x21f80);
    CHECK(get<uint32_t>(converted(amd, area, amd), 24) == 0x21f80);
    CHECK(refused(amd, area, intel).what == "misaligned-SSE mode (MXCSR.MM) is on");
    XstateLayout old = intel;
    old.mxcsr_mask = 0xffbf;
    put<uint32_t>(area, 24, 0x1fc0);
    CHECK(refused(amd, area, old).what == "denormals-are-zeros mode (MXCSR.DAZ) is on");
  }
  SUBCASE("it is kept, and marked, when no vector register is in use") {
    put<uint64_t>(area, 512, 0);
    put<uint32_t>(area, 24, 0x3f80);
    Bytes out = converted(amd, area, intel);
    CHECK(get<uint32_t>(out, 24) == 0x3f80);
    CHECK(get<uint64_t>(out, 512) == xstate_bit(kXstateSse));
    for (size_t i = 160; i < 416; ++i) CHECK(out[i] == std::byte{0});
  }
}

TEST_CASE("restricting a layout") {
  XstateLayout small = restrict_layout(intel_amx(), ~kAmx);
  CHECK(small.size == 2696);
  CHECK(small.xcr0 == intel_avx512().xcr0);
  CHECK(validate(small).ok());
  CHECK(restrict_layout(intel_amx(), 0).xcr0 == 3);
  CHECK(restrict_layout(intel_amx(), 0).size == kXsaveMinBytes);
  // An area of a process without AMX permission is shorter than the machine's largest.
  Bytes area = filled(small, 7);
  CHECK(validate(intel_amx(), area).ok());
  CHECK(converted(intel_amx(), area, avx2_only()) == filled(avx2_only(), 7));
}

TEST_CASE("hostile layouts are refused") {
  auto bad = [](const XstateLayout& table) {
    Result<void> valid = validate(table);
    CHECK_FALSE(valid.ok());
    if (!valid) CHECK(valid.error().err == EBADMSG);
    Bytes area = filled(avx2_only(), 7), out(8192);
    CHECK_FALSE(convert(table, area, avx2_only(), std::span(out).first(avx2_only().size)).ok());
    CHECK_FALSE(convert(avx2_only(), area, table, out).ok());
  };
  auto change = [](auto f) {
    XstateLayout table = intel_amx();
    f(table);
    return table;
  };
  CHECK(validate(intel_amx()).ok());
  bad(XstateLayout());
  bad(change([](XstateLayout& t) { t.xcr0 &= ~uint64_t{1}; }));
  bad(change([](XstateLayout& t) { t.xcr0 &= ~uint64_t{2}; }));
  bad(change([](XstateLayout& t) { t.xcr0 |= xstate_bit(63); }));
  bad(change([](XstateLayout& t) {
    t.xcr0 |= xstate_bit(11);
    t.comp[11] = {832, 16};
  }));
  bad(change([](XstateLayout& t) { t.xcr0 |= xstate_bit(40); }));
  bad(change([](XstateLayout& t) { t.size = 575; }));
  bad(change([](XstateLayout& t) { t.size = 1000; }));
  bad(change([](XstateLayout& t) { t.size = 0xffffffff; }));
  bad(change([](XstateLayout& t) { t.size = kXsaveMaxBytes + 1; }));
  bad(change([](XstateLayout& t) { t.mxcsr_mask = 0; }));
  bad(change([](XstateLayout& t) { t.comp[2].offset = 0; }));
  bad(change([](XstateLayout& t) { t.comp[2].offset = 568; }));
  bad(change([](XstateLayout& t) { t.comp[2].offset = 580; }));
  bad(change([](XstateLayout& t) { t.comp[2].offset = 0xfffffff8; }));
  bad(change([](XstateLayout& t) {
    t.comp[2].offset = 0xffffff00;
    t.comp[2].size = 0x200;
  }));
  bad(change([](XstateLayout& t) { t.comp[2].size = 0; }));
  bad(change([](XstateLayout& t) { t.comp[2].size = 0xffffffff; }));
  bad(change([](XstateLayout& t) { t.comp[2].size = 513; }));  // into the opmasks
  bad(change([](XstateLayout& t) { t.comp[5].offset = 576; }));
  bad(change([](XstateLayout& t) { t.comp[9].size = 2; }));
  bad(change([](XstateLayout& t) { t.comp[18].size += 8; }));
}

TEST_CASE("components whose sizes differ are refused") {
  XstateLayout odd = amd_avx512();
  odd.comp[kXstateOpmask].size = 32;
  Error error = refused(intel_avx512(), filled(intel_avx512(), 3 | kAvx512), odd);
  CHECK(error.err == EBADMSG);
  CHECK(converted(intel_avx512(), filled(intel_avx512(), 7), odd).size() == odd.size);
}

TEST_CASE("hostile and truncated areas are refused") {
  XstateLayout from = intel_avx512();
  Bytes good = filled(from, from.xcr0);
  REQUIRE(validate(from, good).ok());
  for (size_t size = 0; size < good.size(); ++size) {
    Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    CHECK_FALSE(validate(from, cut).ok());
    Bytes out(from.size);
    CHECK_FALSE(convert(from, cut, from, out).ok());
  }
  for (int i = 0; i < kXstateComponents; ++i) {
    if ((from.xcr0 & xstate_bit(i)) != 0) continue;
    Bytes area = good;
    put<uint64_t>(area, 512, from.xcr0 | xstate_bit(i));
    CHECK_FALSE(validate(from, area).ok());
  }
  for (size_t at = 520; at < 576; ++at) {
    Bytes area = good;
    area[at] = std::byte{1};
    CHECK_FALSE(validate(from, area).ok());
  }
  Bytes large(kXsaveMaxBytes + 1);
  CHECK_FALSE(validate(from, large).ok());
  Bytes wrong(from.size - 1);
  CHECK(convert(from, good, from, wrong).error().err == EINVAL);
}

TEST_CASE("random tables and areas never read or write outside") {
  // The spans end at an inaccessible page, so that a stray access dies with and without a
  // sanitizer.
  constexpr size_t kRoom = 20480;
  auto* memory = static_cast<std::byte*>(mmap(nullptr, 2 * (kRoom + 4096), PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(memory != MAP_FAILED);
  std::byte* in_end = memory + kRoom;
  std::byte* out_end = memory + 2 * kRoom + 4096;
  REQUIRE(mprotect(in_end, 4096, PROT_NONE) == 0);
  REQUIRE(mprotect(out_end, 4096, PROT_NONE) == 0);
  std::minstd_rand random(3);
  auto mutate = [&](XstateLayout table) {
    for (int i = 0; i < 2; ++i) {
      switch (random() % 4) {
        case 0:
          table.comp[random() % 20].offset = random() % 4096 * 8;
          break;
        case 1:
          table.comp[random() % 20].size = static_cast<uint32_t>(random() % 2048);
          break;
        case 2:
          table.xcr0 ^= xstate_bit(static_cast<int>(random() % 20));
          break;
        default:
          table.size = static_cast<uint32_t>(random() % kRoom);
          break;
      }
    }
    return table;
  };
  int done = 0;
  for (int round = 0; round < 20000; ++round) {
    XstateLayout from = mutate(intel_amx()), to = mutate(amd_avx512());
    size_t size = random() % kRoom;
    std::span<std::byte> area(in_end - size, size);
    Bytes content = filled(intel_amx(), random() & intel_amx().xcr0);
    memcpy(area.data(), content.data(), std::min(size, content.size()));
    if (to.size > kRoom) continue;
    done += convert(from, area, to, std::span(out_end - to.size, to.size)).ok() ? 1 : 0;
  }
  CHECK(done > 0);
  munmap(memory, 2 * (kRoom + 4096));
}

// ------------------------------------------------------------------------------------- this CPU

// A child that loads known vector state, stops itself, and on SIGCONT compares and exits: 0 if equal.
struct VectorImage {
  uint8_t zmm[32][64];
  uint64_t k[8];
  uint32_t mxcsr;
};

#define OM_ALL_ZMM(OP)                                                                         \
  OP(0)                                                                                        \
  OP(1)                                                                                        \
  OP(2)                                                                                        \
  OP(3)                                                                                        \
  OP(4)                                                                                        \
  OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15) OP(16) OP(17) OP(18) \
      OP(19) OP(20) OP(21) OP(22) OP(23) OP(24) OP(25) OP(26) OP(27) OP(28) OP(29) OP(30) OP(31)
#define OM_ALL_YMM(OP) \
  OP(0)                \
  OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)
#define OM_LOAD_ZMM(N) "vmovdqu64 " #N "*64(%[in]), %%zmm" #N "\n\t"
#define OM_SAVE_ZMM(N) "vmovdqu64 %%zmm" #N ", " #N "*64(%[out])\n\t"
#define OM_LOAD_YMM(N) "vmovdqu " #N "*64(%[in]), %%ymm" #N "\n\t"
#define OM_SAVE_YMM(N) "vmovdqu %%ymm" #N ", " #N "*64(%[out])\n\t"
// kill(pid, SIGSTOP) with everything loaded: no compiler-generated code may come in between.
#define OM_STOP "syscall\n\t"

void stop_with_zmm(const VectorImage& in, VectorImage& out) {
  long number = 62;
  asm volatile(
      "ldmxcsr %c[mxcsr](%[in])\n\t" OM_ALL_ZMM(OM_LOAD_ZMM) "kmovw %c[k](%[in]), %%k1\n\t" OM_STOP
          OM_ALL_ZMM(OM_SAVE_ZMM) "kmovw %%k1, %c[k](%[out])\n\tstmxcsr %c[mxcsr](%[out])\n\t"
      : "+a"(number)
      : [in] "r"(&in), [out] "r"(&out), "D"(getpid()),
        "S"(SIGSTOP), [mxcsr] "i"(offsetof(VectorImage, mxcsr)), [k] "i"(offsetof(VectorImage, k))
      : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
        "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

void stop_with_ymm(const VectorImage& in, VectorImage& out) {
  long number = 62;
  asm volatile("ldmxcsr %c[mxcsr](%[in])\n\t" OM_ALL_YMM(OM_LOAD_YMM)
                   OM_STOP OM_ALL_YMM(OM_SAVE_YMM) "stmxcsr %c[mxcsr](%[out])\n\t"
               : "+a"(number)
               : [in] "r"(&in), [out] "r"(&out), "D"(getpid()),
                 "S"(SIGSTOP), [mxcsr] "i"(offsetof(VectorImage, mxcsr))
               : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

bool cpu_has_avx512() { return (local_layout()->xcr0 & kAvx512) == kAvx512; }
bool cpu_has_avx() { return (local_layout()->xcr0 & xstate_bit(kXstateAvx)) != 0; }

[[noreturn]] void child_main(bool wide) {
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  VectorImage in, out;
  memset(&in, 0, sizeof in);
  for (size_t i = 0; i < sizeof in.zmm; ++i)
    in.zmm[i / 64][i % 64] = static_cast<uint8_t>(i * 7 + i / 64 + 1);
  if (!wide) {
    for (auto& reg : in.zmm) memset(reg + 32, 0, 32);
    memset(in.zmm[16], 0, sizeof in.zmm / 2);
  }
  in.k[0] = wide ? 0xa5c3 : 0;
  in.mxcsr = 0x7fa0;  // round to zero, precision flag
  memset(&out, 0, sizeof out);
  if (wide) {
    stop_with_zmm(in, out);
  } else {
    stop_with_ymm(in, out);
  }
  _exit(memcmp(&in, &out, sizeof in) == 0 ? 0 : 1);
}

// Whether children cannot be stopped with ptrace here, as the cases below do.
bool cannot_trace() {
  const pid_t pid = fork();
  if (pid == 0) _exit(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 0;
  const bool traced = waitpid(pid, &status, 0) == pid && status == 0;
  if (!traced) MESSAGE("skip: ptrace is not allowed");
  return !traced;
}

class StoppedChild {
 public:
  explicit StoppedChild(bool wide) {
    pid_ = fork();
    if (pid_ == 0) child_main(wide);
    REQUIRE(pid_ > 0);
    int status = 0;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    REQUIRE(WIFSTOPPED(status));
    REQUIRE(WSTOPSIG(status) == SIGSTOP);
  }
  ~StoppedChild() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  Bytes read_area() const {
    Bytes area(kXsaveMaxBytes);
    iovec io{area.data(), area.size()};
    REQUIRE(ptrace(PTRACE_GETREGSET, pid_, NT_X86_XSTATE, &io) == 0);
    area.resize(io.iov_len);
    return area;
  }
  void write_area(Bytes area) const {
    iovec io{area.data(), area.size()};
    REQUIRE(ptrace(PTRACE_SETREGSET, pid_, NT_X86_XSTATE, &io) == 0);
  }
  // Exit status of the comparison.
  int finish() {
    REQUIRE(ptrace(PTRACE_CONT, pid_, 0, 0) == 0);
    int status = -1;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }

 private:
  pid_t pid_ = 0;
};

// A machine with the same components as this one, at other offsets.
XstateLayout rearranged(const XstateLayout& local) {
  XstateLayout out;
  out.mxcsr_mask = local.mxcsr_mask;
  out.xcr0 = local.xcr0;
  uint32_t at = kXsaveMinBytes + 64;
  for (int i = kXstateComponents - 1; i >= 2; --i) {
    if ((local.xcr0 & xstate_bit(i)) == 0) continue;
    out.comp[i] = {at, local.comp[i].size};
    at += (local.comp[i].size + 63) / 64 * 64;
  }
  out.size = at;
  return out;
}

TEST_CASE("the layout of this CPU is sane and fits what ptrace gives") {
  Result<XstateLayout> local = local_layout();
  REQUIRE(local.ok());
  CHECK(validate(*local).ok());
  if (cannot_trace()) return;
  if (!cpu_has_avx()) {
    MESSAGE("skip: CPU without AVX");
    return;
  }
  CHECK(local->comp[kXstateAvx].offset == 576);  // architectural
  CHECK(local->comp[kXstateAvx].size == 256);
  StoppedChild child(false);
  Bytes area = child.read_area();
  CHECK(area.size() == local->size);
  CHECK(validate(*local, area).ok());
  // The kernel stores in the bytes for software which components it has enabled.
  CHECK(get<uint64_t>(area, 464) == local->xcr0);
}

TEST_CASE("a stopped child keeps its registers through a foreign layout and back") {
  if (cannot_trace()) return;
  if (!cpu_has_avx()) {
    MESSAGE("skip: CPU without AVX");
    return;
  }
  bool wide = cpu_has_avx512();
  if (!wide) MESSAGE("AVX-512 part skipped: CPU without it");
  XstateLayout local = *local_layout(), foreign = rearranged(local);
  REQUIRE(validate(foreign).ok());
  StoppedChild child(wide);
  Bytes area = child.read_area();
  uint64_t live = live_components(local, area);
  CHECK((live & xstate_bit(kXstateAvx)) != 0);
  if (wide) CHECK((live & kAvx512) == kAvx512);
  Bytes there = converted(local, area, foreign);
  CHECK(live_components(foreign, there) == live);
  Bytes back = converted(foreign, there, local);
  // Destroy the child's state in between, so that it can only find what was converted.
  Bytes wiped(area.size());
  put<uint32_t>(wiped, 24, 0x1f80);
  child.write_area(wiped);
  CHECK((live_components(local, child.read_area()) & xstate_bit(kXstateAvx)) == 0);
  child.write_area(back);
  CHECK(child.finish() == 0);
}

TEST_CASE("a child that was not given its state back notices") {
  if (cannot_trace()) return;
  if (!cpu_has_avx()) {
    MESSAGE("skip: CPU without AVX");
    return;
  }
  StoppedChild child(false);
  Bytes area = child.read_area();
  area[576] ^= std::byte{1};
  child.write_area(area);
  CHECK(child.finish() == 1);
}

TEST_CASE("live AVX-512 does not go to an AVX2 machine, AVX2 state does and comes back") {
  if (cannot_trace()) return;
  if (!cpu_has_avx512()) {
    MESSAGE("skip: CPU without AVX-512");
    return;
  }
  XstateLayout local = *local_layout();
  XstateLayout small = restrict_layout(local, xstate_bit(kXstateAvx));
  {
    StoppedChild child(true);
    CHECK(refused(local, child.read_area(), small).what == "AVX-512 state is live");
    CHECK(child.finish() == 0);
  }
  StoppedChild child(false);
  Bytes area = child.read_area();
  // Leave out of the comparison whatever the C library left in the upper registers of this child.
  put<uint64_t>(area, 512, get<uint64_t>(area, 512) & ~kAvx512);
  Bytes there = converted(local, area, small);
  CHECK(there.size() == 832);
  child.write_area(converted(small, there, local));
  CHECK(child.finish() == 0);
}

}  // namespace
}  // namespace om
