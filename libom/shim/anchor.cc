// SPDX-License-Identifier: Apache-2.0
//
// The anchor: addresses inside this library that the daemons use. The linker fills it in and ld.so relocates
// it; no code runs for it.
#include "libom/abi/anchor.h"
#include "libom/gate/gate.h"
#include "libom/gate/vdso.h"
#include "libom/safe/image.h"
#include "libom/safe/syscall.h"
#include "libom/shim/shim.h"
#include "libom/stub/stub.h"

extern "C" {
void om_executor_entry(void);
void om_orphan_entry(void);
void om_remote_entry(void);
void om_catcher(void);
void om_body_entry(void);
__attribute__((visibility("hidden"))) void om_continue(void);
__attribute__((visibility("hidden"))) void om_clock_return(void);
__attribute__((visibility("hidden"))) void om_clock_return_end(void);
extern __attribute__((visibility("hidden"))) const om::Anchor om_anchor;
}

namespace {

constexpr uint64_t kUnknown = 0;

}  // namespace

#define OM_ADDRESS(x) reinterpret_cast<uint64_t>(x)

// Addresses are not constant expressions for the compiler; the linker makes them relative relocations.
__attribute__((section(".data.rel.ro.anchor"), used)) const om::Anchor om_anchor = {
    om::kAnchorMagic,
    om::kAnchorAbi,
    om::kKeeperGateAbi,
    OM_ADDRESS(__ehdr_start),
    OM_ADDRESS(_end),
    OM_ADDRESS(om_gate_lo),
    OM_ADDRESS(om_gate_hi),
    OM_ADDRESS(om_inject),
    OM_ADDRESS(om_transplant),
    OM_ADDRESS(om_transplant_end),
    OM_ADDRESS(om_window_lo),
    OM_ADDRESS(om_window_end),
    OM_ADDRESS(om_executor_entry),
    OM_ADDRESS(om_orphan_entry),
    OM_ADDRESS(om_remote_entry),
    OM_ADDRESS(om_catcher),
    OM_ADDRESS(om_restorer),
    OM_ADDRESS(om_body_entry),
    OM_ADDRESS(&om::stub::g_home),
    OM_ADDRESS(&om::gate::g_body),
    {OM_ADDRESS(om::gate::vdso_clock_gettime), OM_ADDRESS(om::gate::vdso_gettimeofday),
     OM_ADDRESS(om::gate::vdso_time), OM_ADDRESS(om::gate::vdso_getcpu),
     OM_ADDRESS(om::gate::vdso_clock_getres), OM_ADDRESS(om::gate::vdso_other),
     OM_ADDRESS(om::gate::vdso_other), kUnknown},
    OM_ADDRESS(&om::shim::g_away_cpu),
    OM_ADDRESS(__start_om_exports),
    OM_ADDRESS(__stop_om_exports),
    OM_ADDRESS(om_inject_first),
    OM_ADDRESS(&om::stub::g_first_aid),
    OM_ADDRESS(om_continue),
    OM_ADDRESS(om_clock_return),
    OM_ADDRESS(om_clock_return_end),
};
