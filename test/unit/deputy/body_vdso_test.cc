// SPDX-License-Identifier: Apache-2.0
//
// deputy/memory/body_vdso.h, by executing it: each symbol of this kernel's vDSO leads where it should, and every byte
// of code after it faults with its own address. Also an image that is not one.
#include <doctest/doctest.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <vector>

#include "common/elf/vdso.h"
#include "common/proc/maps.h"
#include "deputy/memory/body_vdso.h"
#include "libom/abi/anchor.h"
#include "libom/abi/layout.h"

namespace om::deputy {
namespace {

constexpr size_t kGap = 4 * kPageSize;

std::vector<std::byte> own_image() {
  const uint64_t start = getauxval(AT_SYSINFO_EHDR);
  const auto maps = proc::read_maps(getpid());
  REQUIRE(maps.ok());
  const proc::Mapping* map = proc::find_mapping(*maps, start);
  if (map == nullptr) return {};
  const auto* bytes = reinterpret_cast<const std::byte*>(start);
  return {bytes, bytes + map->size()};
}

long instead() { return 4711; }

sigjmp_buf g_back;
volatile uint64_t g_faulted;

void on_fault(int, siginfo_t*, void* context) {
  g_faulted = static_cast<uint64_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  siglongjmp(g_back, 1);
}

// The address of the fault when the instruction at `address` is executed.
uint64_t fault_of(uint64_t address) {
  g_faulted = 0;
  if (sigsetjmp(g_back, 1) == 0) reinterpret_cast<void (*)()>(address)();
  return g_faulted;
}

}  // namespace

TEST_CASE("symbols lead to libom, and nothing else of the vDSO runs") {
  const auto image = own_image();
  if (image.empty()) return;
  Anchor anchor{};
  for (uint64_t& function : anchor.vdso_functions) function = reinterpret_cast<uint64_t>(&instead);
  const auto body = body_vdso(image, kGap, anchor);
  REQUIRE(body.ok());
  REQUIRE(body->size() > image.size());
  const size_t room = body->size() - image.size();
  CHECK(room <= kGap);
  void* at =
      mmap(nullptr, body->size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(at != MAP_FAILED);
  memcpy(at, body->data(), body->size());
  REQUIRE(mprotect(at, body->size(), PROT_READ | PROT_EXEC) == 0);
  const uint64_t start = reinterpret_cast<uint64_t>(at) + room;

  struct sigaction action {
  }, segv{}, ill{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &segv);
  sigaction(SIGILL, &action, &ill);
  const auto vdso = parse_vdso(image);
  REQUIRE(vdso.ok());
  size_t symbols = 0, checked = 0;
  for (const VdsoSymbol& symbol : vdso->symbols) {
    const uint64_t function = start + symbol.offset;
    CHECK(reinterpret_cast<long (*)()>(function)() == 4711);
    symbols++;
    for (uint64_t i = 1; i < symbol.size; i++) {
      if (fault_of(function + i) == function + i)
        checked++;
      else
        FAIL_CHECK("byte " << i << " of " << symbol.name << " does not fault where it is");
    }
  }
  CHECK(symbols > 0);
  CHECK(checked > 0);
  sigaction(SIGSEGV, &segv, nullptr);
  sigaction(SIGILL, &ill, nullptr);
  // What unwinders and the C library read is intact.
  CHECK(memcmp(body->data() + room, image.data(), 64) == 0);
  munmap(at, body->size());
}

TEST_CASE("bytes that are no vDSO") {
  CHECK_FALSE(body_vdso({}, kGap, Anchor{}).ok());
  std::vector<std::byte> zeros(8192);
  CHECK_FALSE(body_vdso(zeros, kGap, Anchor{}).ok());
  const auto image = own_image();
  if (image.empty()) return;
  CHECK_FALSE(body_vdso(image, 0, Anchor{}).ok());  // no place for jumps
  for (size_t bytes = 1; bytes < image.size(); bytes += 61)
    (void)body_vdso(std::span(image).first(bytes), kGap, Anchor{});
}

}  // namespace om::deputy
