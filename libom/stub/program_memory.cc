// SPDX-License-Identifier: Apache-2.0
//
// The program's memory at home, for calls that use it (transplanted ones) and for look-ups there.
#include "libom/stub/program_memory.h"

#include "libom/abi/kernel.h"
#include "libom/safe/image.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::sys;

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

}  // namespace

// Context: exec
bool hits_libom(uint64_t at, uint64_t bytes) {
  return touches(at, bytes, safe::image_lo(), safe::image_hi()) ||
         touches_lent(at, bytes, g_home.arena, g_home.nslots);
}

// Context: exec
bool read_memory(const HomeThread* t, void* to, uint64_t from, uint64_t bytes) {
  if (!t->call.transplanted) {
    safe::copy_bytes(to, reinterpret_cast<void*>(from), bytes);
    return true;
  }
  return read_program(to, from, bytes);
}

// Context: exec
bool write_memory(const HomeThread* t, uint64_t to, const void* from, uint64_t bytes) {
  if (t->call.transplanted) return write_program(to, from, bytes);
  safe::copy_bytes(reinterpret_cast<void*>(to), from, bytes);
  return true;
}

// Context: exec
bool read_program(void* to, uint64_t from, uint64_t bytes) {
  if (hits_libom(from, bytes)) return false;
  // Use a system call: the memory may have been unmapped meanwhile.
  k::Iovec local{address(to), bytes}, remote{from, bytes};
  const long pid = sys(kNr_getpid);
  return sys(kNr_process_vm_readv, pid, &local, 1, &remote, 1, 0) == static_cast<long>(bytes);
}

// Context: exec
bool write_program(uint64_t to, const void* from, uint64_t bytes) {
  if (hits_libom(to, bytes)) return false;
  k::Iovec local{address(from), bytes}, remote{to, bytes};
  const long pid = sys(kNr_getpid);
  return sys(kNr_process_vm_writev, pid, &local, 1, &remote, 1, 0) == static_cast<long>(bytes);
}

}  // namespace om::stub
