// SPDX-License-Identifier: Apache-2.0
//
// The address space of the stopped process, as the keeper is to build it or home is to fill it again.
#pragma once

#include <stdint.h>

#include <cstddef>
#include <vector>

#include "common/image/description.h"
#include "deputy/home/home_side.h"
#include "libom/abi/memory.h"

namespace om::deputy {

using MappingKind = Description::MappingKind;
using MarkKind = Description::MarkKind;

struct Region {
  uint64_t lo, hi;
  int prot;
  MappingKind kind;
  bool file;  // contents come from a file: send all of it
  bool shared;
  bool beyond_file = false;  // a file mapping beyond its file's end: no pages at home
  uint32_t object = 0;       // VIEW: which object
  uint64_t offset = 0;       // VIEW: offset in it of `lo`
};

// Where the pages of a file mapping end: at its end, or at the file's.
uint64_t readable_end(const ProcessMemory& memory, const Range& part);
// Where the stack mapping that ends at `hi` begins now.
uint64_t stack_start(const Target& target, uint64_t hi);

class AddressSpace {
 public:
  // Goes by the target's maps as last read. Only afterwards is the rest valid.
  Step describe(const HomeSide& home);

  const std::vector<Region>& regions() const { return regions_; }
  // What home may give back once the body has done something: private memory, without arguments and environment.
  Result<std::vector<Range>> own_memory(const HomeSide& home) const;
  // What the body has where home has its vDSO; empty if there is none. It ends where home's ends.
  const std::vector<std::byte>& vdso_image() const { return vdso_image_; }
  uint64_t vdso_start() const { return vdso_hi_ - vdso_image_.size(); }
  // Adds mappings, vDSO and marks. The caller adds the objects that views show.
  void add_to(Description& image) const;

 private:
  void add_stack(const proc::Mapping& m, uint64_t previous, uint64_t most);
  void add_part(const HomeSide& home, const proc::Mapping& m, const Range& part,
                const std::vector<Range>& locked);
  void add_view(const HomeSide& home, const MemoryObject& object, const proc::Mapping& map,
                const Range& part);
  Step find_guards(const HomeSide& home);

  std::vector<Region> regions_;
  std::vector<Description::Mark> marks_;
  uint64_t vdso_lo_ = 0, vdso_hi_ = 0;
  std::vector<std::byte> vdso_image_;
};

}  // namespace om::deputy
