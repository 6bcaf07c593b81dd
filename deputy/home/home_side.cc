// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/home_side.h"

#include <errno.h>
#include <stddef.h>

#include "libom/abi/sockets.h"
#include "libom/abi/waiting.h"

namespace om::deputy {

bool HomeSide::is_in_arena(const StoppedThread& t) const {
  return state.arena != 0 && t.regs.rsp >= state.arena &&
         t.regs.rsp < state.arena + arena_bytes(state.nslots);
}

uint32_t HomeSide::slot_of(const StoppedThread& t) const {
  return static_cast<uint32_t>((t.regs.rsp - arena - kControlSize) / kSlotSize);
}

bool HomeSide::is_lent(const StoppedThread& t) const {
  return is_in_arena(t) &&
         t.regs.rsp - slot_address(arena, slot_of(t)) - kSlotLent <= kSlotLentSize;
}

uint64_t HomeSide::stack_of(uint32_t slot) const {
  return slot_address(arena, slot) + kSlotLent + kSlotLentSize - 64;
}

bool HomeSide::hits_libom(uint64_t at, uint64_t bytes) const {
  return touches(at, bytes, target->image_lo(), target->image_hi()) ||
         touches_lent(at, bytes, arena, state.nslots);
}

bool HomeSide::remember_attempt(uint64_t attempt) {
  state.attempt = attempt;
  return target && target->put_home_field(offsetof(HomeState, attempt), attempt).ok();
}

Verdict<int64_t> HomeSide::run_remote(StoppedProcess& stop, StoppedThread& t, uint64_t stack,
                                      uint64_t function, uint64_t argument) {
  int64_t result = -EIO;
  auto ran = stop.run(t, *target, stack, function, argument, [&]() -> Result<bool> {
    socket->pump();
    while (auto m = socket->next()) {
      if (m->type != kHomeRemoteDone) continue;
      result = static_cast<int64_t>(m->a);
      return true;
    }
    if (socket->has_ended()) return plain_error("libom closed the deputy socket");
    return false;
  });
  if (!ran) return internal(ran.error());
  return result;
}

}  // namespace om::deputy
