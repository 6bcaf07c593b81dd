// SPDX-License-Identifier: Apache-2.0
//
// Both ends of a pipe, which programs that are started do not inherit.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

struct Pipe {
  UniqueFd read, write;

  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error("pipe");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

}  // namespace om
