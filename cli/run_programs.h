// SPDX-License-Identifier: Apache-2.0
//
// What `om cluster run` copies to a host where openMosix is not installed, or is another build: its own programs and
// the shared libraries that they need, except those of glibc, which the host must have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om::cli {

struct ProgramFile {
  std::string name;  // "om", "libfmt.so.9"
  bool own = false;  // of openMosix: goes to bin/; a library goes to lib/
  std::string bytes;
  std::string hash;  // SHA-256, hexadecimal
};

struct Programs {
  std::vector<ProgramFile> files;
  int glibc = 0;  // the highest that any of them needs
};

// Reads all of them, those that this om uses itself. Errors: one is missing or cannot be read.
Result<Programs> read_programs();

// What ld.so prints of a program's libraries ("libfmt.so.9 => /lib/x86_64-linux-gnu/libfmt.so.9 (0x7f...)"): the paths,
// without glibc's. Errors: a library is not found.
Result<std::vector<std::string>> parse_libraries(std::string_view text);

}  // namespace om::cli
