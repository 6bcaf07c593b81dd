// SPDX-License-Identifier: Apache-2.0
//
// What om_continue (continue.S) does between saving and restoring the program's registers. Program code, in the same
// section as cpu_clocks.cc: it calls nothing, and keeps everything in registers or on the program's stack.
#include "libom/abi/continue.h"

namespace om::shim {
namespace {

// The kernel that abi/rest.h asks here: the program's own, directly. A further stop has a frame of its own, so it does
// not show here.
struct Plain {
  OM_REST long call(uint64_t nr, const uint64_t args[6]) const {
    long r;
    register uint64_t r10 asm("r10") = args[3];
    register uint64_t r8 asm("r8") = args[4];
    register uint64_t r9 asm("r9") = args[5];
    asm volatile("syscall"
                 : "=a"(r)
                 : "a"(nr), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return r;
  }
  OM_REST bool again(long) const { return false; }
  OM_REST bool stopped() const { return false; }
  OM_REST uint64_t now_ns() const {
    uint64_t now[2] = {0, 0};
    const uint64_t args[6] = {1, rest::address(now), 0, 0, 0, 0};
    call(kNr_clock_gettime, args);
    return now[0] * rest::kNsPerSecond + now[1];
  }
  OM_REST bool load(uint64_t from, uint64_t* to, uint64_t words) const {
    for (uint64_t i = 0; i < words; i++) {
      to[i] = reinterpret_cast<const uint64_t*>(from)[i];
      asm volatile("" : : : "memory");  // avoids memcpy(), which is libom's
    }
    return true;
  }
  OM_REST void store_u32(uint64_t to, uint32_t value) const {
    *reinterpret_cast<uint32_t*>(to) = value;
  }
};

}  // namespace
}  // namespace om::shim

// Context: program
extern "C" __attribute__((section("om_exports"), noinline, used, visibility("hidden"))) long
om_continue_call(om::ContinueFrame* frame) {
  om::shim::Plain kernel;
  const long r = om::do_rest(frame->rest, kernel);
  if (frame->limit_to != 0 && frame->rest.limited && r > 0) {
    auto* to = reinterpret_cast<uint64_t*>(frame->limit_to);
    to[0] = frame->rest.limit[0];
    to[1] = frame->rest.limit[1];
  }
  return r;
}
