// SPDX-License-Identifier: Apache-2.0
//
// A stopped process without its pages: what home has a keeper build, and what a keeper sends back. Only this code reads
// and writes common/schema/image.capnp. Whoever wrote a description, reading it enforces the rules below; checks that
// depend on the reader (does it overlap libom, is there a slot for it) are left to the reader.
//
//   mappings, objects   whole pages of the program's half of the address space, none overlaps another
//   views               show pages of an object of the list
//   marks               whole pages; guards lie within a mapping
//   threads             no slot twice, of a known kind, with an fs base that a kernel takes
//   xstate              a valid layout (common/cpu/xstate.h); areas are as long as they are and may be anything
//   clocks              times that do not overflow in arithmetic
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

// The end of a program's address range.
constexpr uint64_t kProgramTop = uint64_t{1} << 47;

struct Description {
  using MappingKind = wire::Mapping::Kind;
  using MarkKind = wire::Mark::Kind;

  struct Mapping {
    uint64_t lo, hi;
    uint32_t prot;  // PROT_READ, PROT_WRITE, PROT_EXEC
    MappingKind kind;
    uint32_t object = 0;  // kind VIEW: number in `objects`
    uint64_t offset = 0;  // VIEW: offset in it of what is at `lo`, in bytes
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

  // The stack, the last one if there are several; null if there is none.
  const Mapping* stack() const;
  // Where in the object's own view the page is that `m`, a VIEW, has at its `lo`.
  uint64_t view_of(const Mapping& m) const { return objects[m.object].view + m.offset; }
};

// Whether it is a clock reading in nanoseconds that does not overflow in arithmetic.
inline bool is_time(int64_t ns) { return ns >= 0 && ns < int64_t{1} << 61; }

// VERSION: another image version. NO_MEMORY: more mappings than a body can have. INTERNAL: breaks the rules.
Verdict<Description> read_description(wire::Image::Reader image);

void write_description(const Description& description, wire::Image::Builder image);

}  // namespace om
