// SPDX-License-Identifier: Apache-2.0
//
// A receive call that had begun at home when the process left goes on there, in the program's memory at home. What has
// arrived by the homecoming is nowhere else, and the body's memory is about to replace it: Received keeps it meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "deputy/home/target.h"
#include "libom/abi/home.h"

namespace om::deputy {

class Received {
 public:
  // Adds what thread `h` has received for an unfinished call; nothing for any other call. Preconditions: the thread is
  // stopped, in the kernel.
  void take(const Target& target, const HomeThread& h);
  // Puts back everything that is still mapped.
  void put(const Target& target) const;

 private:
  struct Piece {
    uint64_t address;
    std::vector<std::byte> bytes;
  };
  void add(const Target& target, uint64_t address, uint64_t bytes);
  void add_message(const Target& target, uint64_t header, uint64_t bytes);

  std::vector<Piece> pieces_;
};

}  // namespace om::deputy
