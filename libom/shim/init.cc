// SPDX-License-Identifier: Apache-2.0
//
// The constructor: all that a preloaded program ever runs of libom while it is at home. One system call,
// which lets the deputy (a process of the same user) stop the program where Yama restricts ptrace to
// children; it fails harmlessly everywhere else.
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::shim {
namespace {

constexpr long kPrSetPtracer = 0x59616d61;
constexpr unsigned long kAny = ~0ul;

// Context: init
__attribute__((constructor)) void om_init() { safe::sys(kNr_prctl, kPrSetPtracer, kAny); }

}  // namespace
}  // namespace om::shim
