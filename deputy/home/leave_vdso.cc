// SPDX-License-Identifier: Apache-2.0
//
// The vDSO's unwind table says where the function will return to. We replace that address on the stack with one of
// libom's (om_clock_return), where the thread waits until it is stopped again, and then goes to where it was to return
// to. All signals are blocked, so that nothing of the program's runs meanwhile.
//
// A hardware breakpoint would do the same, but debug registers outlast their tracer: a deputy killed before the
// breakpoint hits would leave a trap that ends the program. Here such a thread goes on by itself
// (libom/shim/clock_return.S), or another deputy puts everything right (FirstAid says what).
//
// Where the table does not tell (a vDSO without one) we single-step the thread. That takes long on some virtual
// machines, where a clock's sequence lock starts over meanwhile.
#include "deputy/home/leave_vdso.h"

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "common/proc/status.h"
#include "deputy/home/frames.h"
#include "deputy/home/unwinder.h"
#include "libom/abi/home.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxFrames = 4;  // functions of the vDSO that call one another
constexpr auto kFirstRun = std::chrono::microseconds(20);
constexpr auto kLongestRun = std::chrono::milliseconds(5);
constexpr auto kStands = std::chrono::seconds(30);  // for a thread that waits for a processor
constexpr auto kStepLimit = kStands;
constexpr uint64_t bit(int sig) { return uint64_t{1} << (sig - 1); }
constexpr uint64_t kTrap = bit(SIGTRAP), kAll = ~uint64_t{0};

struct ReturnPlace {
  uint64_t address = 0;  // where the program goes on
  uint64_t slot = 0;     // where that is on the stack
};

// Whether a call instruction ends at `address`: relative, or through a register or memory (opcode ff /2).
bool is_behind_call(const Target& target, uint64_t address) {
  uint8_t code[7];
  if (!target.memory.read(address - sizeof code, std::as_writable_bytes(std::span(code))))
    return false;
  auto back = [&](size_t bytes) { return code + sizeof code - bytes; };
  if (*back(5) == 0xe8) return true;
  for (size_t bytes : {2, 3, 4, 6, 7}) {
    if (back(bytes)[0] == 0xff && ((back(bytes)[1] >> 3) & 7) == 2) return true;
  }
  return false;
}

std::optional<ReturnPlace> find_return(const Target& target, const user_regs_struct& regs) {
  std::vector<proc::Mapping> vdso;
  for (const auto& map : target.maps) {
    if (map.kind == proc::MapKind::kVdso) vdso.push_back(map);
  }
  Unwinder unwinder(std::move(vdso), {}, [&](uint64_t address, std::span<std::byte> to) {
    return target.memory.read(address, to).ok();
  });
  for (const FramePlace& f : unwinder.walk(frame_of(regs, 0).gpr, kMaxFrames)) {
    if (is_in_vdso(target, f.ip)) continue;
    const ReturnPlace place{f.ip, f.sp - sizeof(uint64_t)};
    const auto written = target.memory.get<uint64_t>(place.slot);
    if (place.slot < regs.rsp || !written || *written != place.address) return std::nullopt;
    if (!is_behind_call(target, place.address)) return std::nullopt;
    return place;
  }
  return std::nullopt;
}

// Writes down what another deputy has to know to put the thread right.
Result<void> write_aid(const Target& target, pid_t tid, uint64_t mask, const ReturnPlace& place) {
  const uint64_t aid = target.anchor.first_aid;
  OM_TRY(target.memory.put(aid + offsetof(FirstAid, stepped_mask), mask));
  OM_TRY(target.memory.put(aid + offsetof(FirstAid, clock_return), place.address));
  OM_TRY(target.memory.put(aid + offsetof(FirstAid, clock_slot), place.slot));
  return target.memory.put(aid + offsetof(FirstAid, stepped_tid), static_cast<int32_t>(tid));
}

// Puts the program's own return address back, on the stack or as the next instruction.
Result<void> put_return_back(const Target& target, Tracee& thread, const ReturnPlace& place) {
  if (place.slot == 0) return {};
  const uint64_t lo = target.anchor.clock_return, hi = target.anchor.clock_return_end;
  user_regs_struct regs = OM_TRY(thread.regs());
  if (regs.rip >= lo && regs.rip < hi) {
    regs.rip = place.address;
    regs.orig_rax = kAll;
    return thread.set_regs(regs);
  }
  const auto written = target.memory.get<uint64_t>(place.slot);
  if (is_in_vdso(target, regs.rip) && written && *written == lo)
    return target.memory.put(place.slot, place.address);
  return {};
}

// Lets it run for ever longer moments. ETIMEDOUT.
Result<void> run_out(const Target& target, Tracee& thread, Deadline deadline) {
  auto run = kFirstRun;
  for (;;) {
    thread.resume();
    std::this_thread::sleep_for(run);
    thread.interrupt();
    OM_TRY(thread.wait_stop(Clock::now() + kStands));
    if (thread.gone()) return {};
    const user_regs_struct regs = OM_TRY(thread.regs());
    if (!is_in_vdso(target, regs.rip)) return {};
    if (Clock::now() > deadline) return Error{ETIMEDOUT, "leave the vDSO"};
    run = std::min<std::chrono::microseconds>(run * 2, kLongestRun);
  }
}

Result<void> step_out(const Target& target, Tracee& thread, Deadline deadline) {
  // Give up only between two steps: the trap of one under way would end the program.
  for (user_regs_struct regs = OM_TRY(thread.regs()); is_in_vdso(target, regs.rip);) {
    if (Clock::now() > deadline) return Error{ETIMEDOUT, "leave the vDSO"};
    OM_TRY(thread.single_step(Clock::now() + kStepLimit));
    regs = OM_TRY(thread.regs());
  }
  // Back into an event stop, where registers can be set for good.
  thread.interrupt();
  thread.resume();
  return thread.wait_stop(Clock::now() + kStands);
}

}  // namespace

bool is_in_vdso(const Target& target, uint64_t rip) {
  const auto* map = proc::find_mapping(target.maps, rip);
  return map != nullptr && map->kind == proc::MapKind::kVdso;
}

Step leave_vdso(const Target& target, Tracee& thread, std::chrono::milliseconds limit) {
  const user_regs_struct regs = OM_MUST(thread.regs());
  if (!is_in_vdso(target, regs.rip)) return Done{};
  const Deadline deadline = Clock::now() + limit;
  const uint64_t mask = OM_MUST(thread.signal_mask());
  const auto found = find_return(target, regs);
  if (!found && (OM_MUST(proc::read_status(thread.tid())).sig_ignored & kTrap) != 0) {
    // A step's SIGTRAP must neither be blocked nor ignored, or the kernel would reset its disposition.
    return refuse(ReasonCode::kUninterruptible, "SIGTRAP is ignored");
  }
  const ReturnPlace place = found.value_or(ReturnPlace{});
  OM_MUST_VOID(write_aid(target, thread.tid(), mask, place));
  OM_MUST_VOID(thread.set_signal_mask(found ? kAll : ~kTrap));
  Result<void> left{};
  if (found) left = target.memory.put(place.slot, target.anchor.clock_return);
  if (left) left = found ? run_out(target, thread, deadline) : step_out(target, thread, deadline);
  if (thread.gone()) return Done{};
  OM_MUST_VOID(put_return_back(target, thread, place));
  OM_MUST_VOID(thread.set_signal_mask(mask));
  OM_MUST_VOID(
      target.memory.put(target.anchor.first_aid + offsetof(FirstAid, stepped_tid), int32_t{0}));
  if (left) return Done{};
  if (left.error().err != ETIMEDOUT) return internal(left.error());
  return refuse(ReasonCode::kUninterruptible, "thread {} does not leave the vDSO", thread.tid());
}

Step undo_leave_vdso(const Target& target, Tracee& thread) {
  constexpr uint64_t kNever = bit(SIGKILL) | bit(SIGSTOP);
  const FirstAid aid = OM_MUST(target.memory.get<FirstAid>(target.anchor.first_aid));
  OM_MUST_VOID(put_return_back(target, thread, {aid.clock_return, aid.clock_slot}));
  const uint64_t mask = OM_MUST(thread.signal_mask());
  if (mask == (kAll & ~kNever) || mask == (~kTrap & ~kNever))
    OM_MUST_VOID(thread.set_signal_mask(aid.stepped_mask));
  return Done{};
}

}  // namespace om::deputy
