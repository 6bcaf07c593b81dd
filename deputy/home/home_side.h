// SPDX-License-Identifier: Apache-2.0
//
// The process at home as its moves know it: the libom in it, what libom says about itself, the connection with it, and
// where libom's own memory lies, with a slot for each thread.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <optional>

#include "common/movable/verdict.h"
#include "deputy/home/home_socket.h"
#include "deputy/home/stopped.h"
#include "deputy/home/target.h"
#include "libom/abi/home.h"

namespace om::deputy {

// For answers of injected calls: the end of the slot's block, where no struct reaches.
constexpr uint64_t kScratch = kSlotBlock + kSlotBlockSize - 256;
static_assert(sizeof(HomeThread) <= kSlotBlockSize - 256);

struct HomeSide {
  explicit HomeSide(pid_t id) : pid(id) {}

  pid_t pid;
  pid_t inner_pid = 0;  // as the program sees it
  std::optional<Target> target;
  std::optional<HomeSocket> socket;
  HomeState state{};  // as we wrote it last
  uint64_t arena = 0;
  int fd_base = 0;

  // Whether the thread's stack is in libom's memory: it is an executor, or runs code for a deputy.
  bool is_in_arena(const StoppedThread& t) const;
  // Preconditions: it is in the arena.
  uint32_t slot_of(const StoppedThread& t) const;
  // Whether it runs our code, for us or for a deputy that has died.
  bool is_lent(const StoppedThread& t) const;
  // The top of a stack on which a stopped thread can run our code.
  uint64_t stack_of(uint32_t slot) const;
  // Whether [at, at + bytes) touches libom's own memory.
  bool hits_libom(uint64_t at, uint64_t bytes) const;
  // Writes HomeState.attempt (common/tls/pass.h). False: the process is gone, or runs another program.
  bool remember_attempt(uint64_t attempt);
  // Runs libom's remote function in a stopped thread, on `stack`. Returns its answer; INTERNAL if there is none.
  Verdict<int64_t> run_remote(StoppedProcess& stop, StoppedThread& t, uint64_t stack,
                              uint64_t function, uint64_t argument);
};

}  // namespace om::deputy
