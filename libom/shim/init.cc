// SPDX-License-Identifier: Apache-2.0
//
// The constructor. One system call, which lets the deputy (a process of the same user) stop the program where
// Yama restricts ptrace to children; it fails harmlessly everywhere else. Besides that a preloaded program
// runs nothing of libom while it is at home but the clocks of cpu_clocks.cc.
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/shim/shim.h"

namespace om::shim {
namespace {

constexpr long kPrSetPtracer = 0x59616d61;
constexpr unsigned long kAny = ~0ul;

constexpr uint64_t kAtSysinfoEhdr = 33;

// ld.so passes constructors what main gets; the auxiliary vector lies behind the environment.
// Context: init
__attribute__((constructor)) void om_init(int, char**, char** environment) {
  safe::sys(kNr_prctl, kPrSetPtracer, kAny);
  if (environment == nullptr) return;
  while (*environment != nullptr) environment++;
  for (auto* aux = reinterpret_cast<const uint64_t*>(environment + 1); aux[0] != 0; aux += 2) {
    if (aux[0] != kAtSysinfoEhdr) continue;
    g_vdso_clock_gettime = reinterpret_cast<decltype(g_vdso_clock_gettime)>(
        reinterpret_cast<uintptr_t>(find_vdso_function(aux[1], "__vdso_clock_gettime")));
  }
}

}  // namespace
}  // namespace om::shim
