// SPDX-License-Identifier: Apache-2.0
//
// A process that stands still, without its pages: what home tells a keeper to build and what a keeper sends back, and
// the only place that reads and writes common/schema/image.capnp. What has been read obeys the rules below, whoever has
// written it; what a reader has to ask besides (is it beside libom, is there a slot for it) is the reader's affair.
//
//   mappings, objects   whole pages of the program's half of the address space, none overlaps another
//   views               show pages of an object of the list
//   marks               whole pages; guards lie within a mapping
//   threads             no slot twice, of a known kind, with an fs base that a kernel takes
//   xstate              a valid layout (common/cpu/xstate.h); areas are as long as they are and may be anything
//   clocks              times with which one can reckon
#pragma once

#include <stdint.h>

#include <array>
#include <cstddef>
#include <vector>

#include "common/cpu/xstate.h"
#include "common/movable/verdict.h"
#include "common/schema/image.capnp.h"
#include "libom/abi/body.h"
#include "libom/abi/thread.h"

namespace om {

constexpr uint32_t kImageVersion = 1;

// Behind the last address that a program has.
constexpr uint64_t kProgramTop = uint64_t{1} << 47;

struct Description {
  using MappingKind = wire::Mapping::Kind;
  using MarkKind = wire::Mark::Kind;

  struct Mapping {
    uint64_t lo, hi;
    uint32_t prot;  // PROT_READ, PROT_WRITE, PROT_EXEC
    MappingKind kind;
    uint32_t object = 0;  // kind VIEW: number in `objects`
    uint64_t offset = 0;  // and of what is at `lo`, in bytes
  };
  struct Object {
    uint64_t view, bytes;
    bool is_open;
  };
  struct Mark {
    uint64_t lo, hi;
    MarkKind kind;
  };
  struct Thread {
    ThreadState state;
    std::vector<std::byte> xsave;
  };
  struct Clocks {
    int64_t mono_ns = 0, real_ns = 0;
    uint64_t cpu_ns = 0;
  };
  // image.capnp Process.
  struct Process {
    int32_t pid = 0, ppid = 0;
    std::array<uint32_t, 8> ids{};
    uint64_t brk_start = 0, brk_now = 0, brk_limit = 0;
    std::array<std::byte, sizeof(BodyState::uts)> uts{};
    uint64_t vdso_lo = 0, vdso_hi = 0;
    uint64_t caught = 0;
    uint32_t fd_size = 0;
    bool denies_exec = false, writes_files = false;
  };

  uint32_t epoch = 0;
  std::vector<Mapping> mappings;
  std::vector<Object> objects;
  std::vector<Mark> marks;
  std::vector<Thread> threads;
  XstateLayout xstate;
  Clocks clocks;
  Process process;

  // The stack; null if there is none. With several the last one.
  const Mapping* stack() const;
  // Where a VIEW has the object's page that is at its `lo`, within the object's own view.
  uint64_t view_of(const Mapping& m) const { return objects[m.object].view + m.offset; }
};

// Nanoseconds of a clock, with which one can reckon.
inline bool is_time(int64_t ns) { return ns >= 0 && ns < int64_t{1} << 61; }

// VERSION: written by another one. NO_MEMORY: more mappings than a body can have. INTERNAL: against the rules.
Verdict<Description> read_description(wire::Image::Reader image);

void write_description(const Description& description, wire::Image::Builder image);

}  // namespace om
