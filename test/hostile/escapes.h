// SPDX-License-Identifier: Apache-2.0
//
// Ways out of a process's confinement as raw system calls. attacker.cc tries each in a body, where the filter ends it
// at the first call; walls.cc tries each in namespaces alone and without them, and sees whether something outside was
// reached.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <span>

namespace om::hostile {

// What is outside, of the same user.
struct Outside {
  pid_t pid = 0;          // a process
  uint64_t memory = 0;    // an address in it, eight bytes
  int shared_memory = 0;  // id of a System V segment
  uint16_t port = 0;      // a TCP listener on 127.0.0.1
  char name[32] =
      {};  // of an abstract socket, a POSIX message queue and a key in the user's keyring
};

using Call = long (*)(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                      uint64_t f);

// Whether an ordinary user's process without namespaces of its own may do it to others of the same user.
enum class Alone : uint8_t {
  kNever,
  kMay,     // as the kernel is set up (ptrace_scope and the like)
  kAlways,  // so it must be seen to: else the attempt is not one
};

struct Escape {
  const char* name;
  Alone alone;
  // 0 or more: it has reached something outside. Else -errno.
  long (*attempt)(Call call, const Outside& outside);
};

std::span<const Escape> escapes();

}  // namespace om::hostile
