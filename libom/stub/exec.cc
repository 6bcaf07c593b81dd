// SPDX-License-Identifier: Apache-2.0
//
// execve at home: the kernel replaces this very process, closes what is close-on-exec (including our
// descriptors), resets the caught signals to their defaults and starts the new image, preloaded by its
// environment. The deputy notices because the deputy socket closes while the process lives on.
#include "libom/abi/kernel.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/functions.h"
#include "libom/stub/signal.h"
#include "libom/stub/stub.h"
#include "libom/stub/unpack.h"

namespace om::stub {
namespace {

using safe::sys;

// Fills `vector` with pointers to `count` strings in [at, end). False if there are fewer.
bool point_at(uint64_t* vector, uint64_t count, const uint8_t*& at, const uint8_t* end) {
  for (uint64_t i = 0; i < count; i++) {
    const uint8_t* s = at;
    while (at < end && *at != 0) at++;
    if (at == end) return false;
    at++;
    vector[i] = reinterpret_cast<uint64_t>(s);
  }
  vector[count] = 0;
  return true;
}

}  // namespace

// Context: exec
long home_execve(HomeCall& c) {
  HomeExec& e = *c.exec;
  const bool at = e.nr == kNr_execveat;
  if (noted(c.thread) > 0) {
    // Handlers of this image must run before another image replaces it.
    e.ret_flags |= kRetRestart;
    return 0;
  }
  // The file to execute may be an object whose contents are away.
  if (g_home.object_count != 0) return leave_it_to_program(c);
  if (at && is_ours(c.args[0])) return -k::kEBADF;
  const uint8_t* path = c.ins;
  uint64_t n = 0;
  while (n < c.ins_bytes && n < kPageSize && path[n] != 0) n++;
  if (n == c.ins_bytes || n == kPageSize || take_ins(c, n + 1) == nullptr) return -k::kEPROTO;
  const uint8_t* counts = take_ins(c, 16);
  if (counts == nullptr) return -k::kEPROTO;
  const auto argc = safe::load<uint64_t>(counts), envc = safe::load<uint64_t>(counts + 8);
  const uint8_t* strings = c.ins + c.ins_used;
  const uint8_t* end = c.ins + c.ins_bytes;
  const auto bytes = static_cast<uint64_t>(end - strings);
  if (argc > bytes || envc > bytes) return -k::kEPROTO;  // every string has at least its NUL
  const uint64_t room = ((argc + envc + 2) * 8 + kPageSize - 1) & ~(kPageSize - 1);
  const long vectors = sys(kNr_mmap, 0, room, k::kProtRead | k::kProtWrite,
                           k::kMapPrivate | k::kMapAnonymous, -1, 0);
  if (vectors < 0 && vectors > -4096) return vectors;
  auto* argv = reinterpret_cast<uint64_t*>(vectors);
  auto* envp = argv + argc + 1;
  long r = -k::kEPROTO;
  if (point_at(argv, argc, strings, end) && point_at(envp, envc, strings, end)) {
    r = at ? sys(kNr_execveat, c.args[0], path, argv, envp, c.args[4])
           : sys(kNr_execve, path, argv, envp);
  }
  sys(kNr_munmap, vectors, room);
  return r;
}

}  // namespace om::stub
