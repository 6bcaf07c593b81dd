// SPDX-License-Identifier: Apache-2.0
//
// What the other node learns about the process: the offer that it judges, what om-body is started with, and the
// description of the stopped process.
#pragma once

#include <stdint.h>

#include "common/proc/status.h"
#include "common/schema/session.capnp.h"
#include "deputy/home/ask.h"
#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"
#include "deputy/memory/address_space.h"
#include "deputy/session/surroundings.h"

namespace om::deputy {

// What the target judges before it starts a keeper. Preconditions: home.target is set.
OfferedProcess make_offer(const HomeSide& home, const proc::Status& status, uint32_t threads);

// What the keeper starts om-body with, except command, threads and limits. INTERNAL if it cannot be read.
Step describe_libom(const HomeSide& home, const OfferedProcess& offer,
                    wire::BodySpec::Builder spec);

// A few kilobytes that tell the keeper what to build. All threads are stopped.
struct Described {
  const HomeSide& home;
  ThreadPlans& plans;  // xstate_bytes of each thread is filled in
  const AddressSpace& space;
  const Settings& settings;
  bool writes_files;
};
Step describe_process(const Described& what, wire::Image::Builder image);

}  // namespace om::deputy
