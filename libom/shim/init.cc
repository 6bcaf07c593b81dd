// SPDX-License-Identifier: Apache-2.0
//
// The constructor. It makes one system call, which lets the deputy (a process of the same user) stop the program where
// Yama restricts ptrace to children and fails harmlessly everywhere else. Then it records what is needed of the start
// (abi/start.h). Apart from that a preloaded program at home runs only the clocks of cpu_clocks.cc.
//
// It runs with any C library. glibc gives constructors the arguments of main, others give them nothing: the registers
// then hold no pointers. Weak symbols give access to what only some C libraries have.
#include "libom/abi/start.h"
#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/shim/shim.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"

extern "C" {
extern __attribute__((weak, visibility("default"))) char** environ;
__attribute__((weak, visibility("default"))) unsigned long getauxval(unsigned long type);
extern __attribute__((visibility("hidden"))) om::StartState om_start;
om::StartState om_start{};
}

namespace om::shim {
namespace {

constexpr long kPrSetPtracer = 0x59616d61;
constexpr unsigned long kAny = ~0ul;

constexpr uint64_t kAtPhdr = 3, kAtPhnum = 5, kAtSysinfoEhdr = 33;

// glibc may run this before it has set environ. Then the arguments are those of main: on this stack, a little higher.
char** environment_of(uint64_t count, char** arguments, char** environment) {
  if (&environ != nullptr && environ != nullptr) return environ;
  constexpr uint64_t kNear = 1 << 20, kMaxArguments = kNear / sizeof(char*);
  const auto here = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  const auto there = reinterpret_cast<uint64_t>(arguments);
  if (there % sizeof(char*) != 0 || there - here >= kNear || count >= kMaxArguments) return nullptr;
  if (environment != arguments + count + 1) return nullptr;
  return reinterpret_cast<uint64_t>(arguments[-1]) == count ? environment : nullptr;
}

// Copies the value of the first entry for `name`, cut to what `to` holds.
template <uint64_t N>
void keep(char** environment, const char* name, char (&to)[N]) {
  for (; environment != nullptr && *environment != nullptr; environment++) {
    const char *entry = *environment, *want = name;
    while (*want != 0 && *entry == *want) {
      want++;
      entry++;
    }
    if (*want != 0 || *entry++ != '=') continue;
    for (uint64_t i = 0; i < N - 1 && entry[i] != 0; i++) to[i] = entry[i];
    return;
  }
}

// Context: init
__attribute__((constructor)) void om_init(uint64_t count, char** arguments, char** environment) {
  safe::sys(kNr_prctl, kPrSetPtracer, kAny);
  environment = environment_of(static_cast<uint32_t>(count), arguments, environment);
  keep(environment, "OM_CONTROL", om_start.control);
  keep(environment, "OM_CPU", om_start.cpu);
  char home_cpus[2] = {};
  keep(environment, "OM_HOME_CPUS", home_cpus);
  om_start.home_cpus = home_cpus[0] != 0;
  if (&getauxval != nullptr)
    find_clocks(getauxval(kAtPhdr), getauxval(kAtPhnum), getauxval(kAtSysinfoEhdr));
  stub::g_vdso_clock_gettime = g_vdso_clock_gettime;
  safe::store_release(&om_start.ready, 1u);
}

}  // namespace
}  // namespace om::shim
