// SPDX-License-Identifier: Apache-2.0
//
// What safe/seal.h does to the program's vector registers, whose values are live while libom runs: nothing. All that
// XSAVE knows of x87, MXCSR, XMM, YMM, ZMM and mask registers is loaded, a record is made or opened, and the state is
// compared to the bit.
#include <cpuid.h>
#include <doctest/doctest.h>
#include <stdint.h>
#include <string.h>

#include <memory>
#include <string>
#include <vector>

#include "libom/safe/seal.h"

namespace {

using namespace om;

constexpr uint64_t kX87 = 1 << 0, kSse = 1 << 1, kAvx = 1 << 2;
constexpr uint64_t kAvx512 = 1 << 5 | 1 << 6 | 1 << 7;
constexpr size_t kAreaBytes = 16384;  // XSAVE areas of all CPUs so far fit, tile data included

struct alignas(64) Area {
  uint8_t bytes[kAreaBytes];
};
struct Piece {
  const char* name;
  size_t at, bytes;
};

uint64_t xcr0() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// What is compared: of the legacy area without the addresses of the last x87 instruction, which not every CPU keeps.
std::vector<Piece> pieces(uint64_t mask) {
  std::vector<Piece> all{{"x87 control, status and tags", 0, 5}, {"MXCSR", 24, 4}};
  for (size_t i = 0; i < 8; i++) all.push_back({"an x87 register", 32 + 16 * i, 10});
  all.push_back({"XMM registers", 160, 256});
  const char* const names[8] = {
      "",        "", "upper halves of YMM", "", "", "mask registers", "upper halves of ZMM0-15",
      "ZMM16-31"};
  for (const uint32_t component : {2u, 5u, 6u, 7u}) {
    if ((mask >> component & 1) == 0) continue;
    uint32_t size, at, c, d;
    __cpuid_count(0xd, component, size, at, c, d);
    all.push_back({names[component], at, size});
  }
  return all;
}

struct Call {
  long (*function)(safe::Seal&, uint8_t*, size_t);
  safe::Seal* seal;
  uint8_t* record;
  size_t n;
  const Area* in;
  Area* out;
  Area* own;
  uint64_t mask;
  long result;
};

// Makes the call with the vector state of *call.in, stores the state after it in *call.out.
__attribute__((noinline)) void call_with_state(Call& call) {
  asm volatile(
      "mov %%rsp, %%r12\n"
      "sub $256, %%rsp\n"  // beyond the red zone
      "and $-64, %%rsp\n"
      "mov 56(%%rbx), %%eax\n mov 60(%%rbx), %%edx\n"
      "mov 48(%%rbx), %%r13\n xsave64 (%%r13)\n"
      "mov 32(%%rbx), %%r13\n xrstor64 (%%r13)\n"
      "mov 8(%%rbx), %%rdi\n mov 16(%%rbx), %%rsi\n mov 24(%%rbx), %%rdx\n"
      "call *(%%rbx)\n"
      "mov %%rax, 64(%%rbx)\n"
      "mov 56(%%rbx), %%eax\n mov 60(%%rbx), %%edx\n"
      "mov 40(%%rbx), %%r13\n xsave64 (%%r13)\n"
      "mov 48(%%rbx), %%r13\n xrstor64 (%%r13)\n"
      "mov %%r12, %%rsp\n"
      :
      : "b"(&call)
      : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13");
}

struct State {
  uint64_t mask = xcr0() & (kX87 | kSse | kAvx | kAvx512);
  std::unique_ptr<Area> in = std::make_unique<Area>(), out = std::make_unique<Area>(),
                        own = std::make_unique<Area>();
  std::vector<Piece> compared = pieces(mask);

  State() {
    uint8_t next = 1;
    for (const Piece& piece : compared) {
      for (size_t i = 0; i < piece.bytes; i++) {
        next = static_cast<uint8_t>(next * 5 + 17);
        in->bytes[piece.at + i] = next;
      }
    }
    const uint16_t control = 0x0c7f,
                   status = 0x2800;  // all exceptions masked, rounding to zero, top of stack 5
    const uint32_t mxcsr = 0xffc0 & ~0x40u;  // the same, flush to zero
    memcpy(in->bytes, &control, sizeof control);
    memcpy(in->bytes + 2, &status, sizeof status);
    in->bytes[4] = 0xff;  // all eight registers are in use
    memcpy(in->bytes + 24, &mxcsr, sizeof mxcsr);
    memcpy(in->bytes + 512, &mask, sizeof mask);
  }

  // What is different after the call: "" or the name of a piece.
  std::string changed(long (*function)(safe::Seal&, uint8_t*, size_t), safe::Seal& seal,
                      uint8_t* record, size_t n, long result) {
    memset(out.get(), 0, sizeof *out);
    Call call{function, &seal, record, n, in.get(), out.get(), own.get(), mask, -1};
    call_with_state(call);
    REQUIRE(call.result == result);
    for (const Piece& piece : compared) {
      if (memcmp(in->bytes + piece.at, out->bytes + piece.at, piece.bytes) != 0) return piece.name;
    }
    return "";
  }
};

void offer(safe::Seal& seal, uint32_t cipher) {
  memset(&seal, 0, sizeof seal);
  seal.offered.cipher = cipher;
}

long expand(safe::Seal& seal, uint8_t*, size_t) { return safe::expand_keys(seal); }
long open_bad(safe::Seal& seal, uint8_t* record, size_t n) {
  record[0] ^= 1;
  const long r = safe::open_record(seal, record, n);
  record[0] ^= 1;
  return r;
}

// Functions that do change something, to see that it shows.
long change_xmm(safe::Seal&, uint8_t*, size_t) {
  asm volatile("pxor %%xmm13, %%xmm13" ::: "xmm13");
  return 0;
}
long change_ymm(safe::Seal&, uint8_t*, size_t) {
  asm volatile("vmovdqa %%xmm3, %%xmm3" ::: "xmm3");
  return 0;
}
long change_x87(safe::Seal&, uint8_t*, size_t) {
  asm volatile("fincstp");
  return 0;
}

static_assert(offsetof(Call, out) == 40 && offsetof(Call, mask) == 56 &&
              offsetof(Call, result) == 64);

}  // namespace

TEST_CASE("a change of a register is noticed") {
  State state;
  safe::Seal seal;
  CHECK(state.changed(change_xmm, seal, nullptr, 0, 0) == "XMM registers");
  CHECK(state.changed(change_x87, seal, nullptr, 0, 0) == "x87 control, status and tags");
  if ((state.mask & kAvx) != 0)
    CHECK(state.changed(change_ymm, seal, nullptr, 0, 0) == "upper halves of YMM");
}

TEST_CASE(
    "no register changes while keys are expanded, and records of 0 to 4096 bytes made and opened") {
  State state;
  if ((state.mask & kAvx) == 0) MESSAGE("without YMM registers: this CPU has no AVX");
  if ((state.mask & kAvx512) != kAvx512)
    MESSAGE("without ZMM and mask registers: this CPU has no AVX-512");
  for (const uint32_t cipher : {uint32_t{kChannelAes256Gcm}, uint32_t{kChannelChaCha20Poly1305}}) {
    if (!safe::can_seal(cipher)) {
      MESSAGE("skipped: this CPU has not got what cipher " << cipher << " needs");
      continue;
    }
    auto from = std::make_unique<safe::Seal>(), to = std::make_unique<safe::Seal>();
    offer(*from, cipher);
    offer(*to, cipher);
    CHECK(state.changed(expand, *from, nullptr, 0, 0) == "");
    CHECK(state.changed(expand, *to, nullptr, 0, 0) == "");
    std::vector<uint8_t> record(4096 + safe::kRecordOverhead);
    for (size_t n = 0; n <= 4096; n += n < 300 ? 1 : 61) {
      std::vector<uint8_t> contents(n, static_cast<uint8_t>(n));
      std::copy(contents.begin(), contents.end(), record.begin() + safe::kRecordHeader);
      REQUIRE(state.changed(safe::seal_record, *from, record.data(), n, 0) == "");
      std::vector<uint8_t> changed = record;
      REQUIRE(state.changed(open_bad, *to, changed.data(), n, -74) == "");
      REQUIRE(state.changed(safe::open_record, *to, record.data(), n, 0) == "");
      REQUIRE(memcmp(record.data() + safe::kRecordHeader, contents.data(), n) == 0);
    }
  }
}
