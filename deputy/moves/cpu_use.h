// SPDX-License-Identifier: Apache-2.0
//
// Whether a program minds which numbers its CPUs have.
#pragma once

#include "deputy/home/home_side.h"

namespace om::deputy {

// True if it may run only on CPUs whose numbers exist at home: it was started with `om run --home-cpus`, or it has
// restartable sequences of its own, which would find no CPU number in a body that may run everywhere
// (libom/gate/cpus.h) and try again for ever.
//
// Such sequences are known by the section in which compilers are told to list them, __rseq_cs; a file that cannot be
// read counts as having some. Code made at run time is not seen.
bool keeps_home_cpus(const HomeSide& home);

}  // namespace om::deputy
