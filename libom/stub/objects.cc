// SPDX-License-Identifier: Apache-2.0
//
// Descriptors of memory objects that have travelled (memory.h, MemoryObject): the body has their contents; home has the
// contents of the departure. A call that needs the contents, gives them to others or closes the last descriptor brings
// the process home; calls that concern only descriptor, size or room are served.
#include "libom/stub/objects.h"

#include "libom/abi/kernel.h"
#include "libom/abi/syscall_desc.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/functions.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::sys;

// Whether the call gives the right result on a descriptor of the object `o` as it is here.
bool is_harmless(const HomeCall& c, const MemoryObject& o) {
  switch (c.desc->object) {
    case ObjectUse::kAny:
      return true;
    case ObjectUse::kOffset: {
      constexpr uint32_t kSeekEnd = 2;  // SEEK_DATA and SEEK_HOLE are above
      return static_cast<uint32_t>(c.args[2]) <= kSeekEnd;
    }
    case ObjectUse::kRoom: {
      constexpr uint64_t kKeepSize = 1;
      const uint64_t end = c.args[2] + c.args[3];
      return (c.args[1] & ~kKeepSize) == 0 && end >= c.args[2] && end <= o.bytes;
    }
    case ObjectUse::kNone:
      break;
  }
  return false;
}

}  // namespace

// Context: exec
uint32_t object_of(uint64_t fd) {
  uint64_t st[18];
  if (g_home.object_count == 0 || is_ours(fd) || sys(kNr_fstat, fd, st) != 0) return kNoObject;
  for (uint32_t i = 0; i < g_home.object_count && i < kMaxMemoryObjects; i++) {
    if (g_home.objects[i].dev == st[0] && g_home.objects[i].inode == st[1]) return i;
  }
  return kNoObject;
}

// Context: exec
bool needs_object(const HomeCall& c) {
  if (g_home.object_count == 0) return false;
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind != ArgKind::kVal || (a.type != ArgType::kFd && a.type != ArgType::kAtFd)) continue;
    const uint32_t which = object_of(c.args[i]);
    if (which != kNoObject && !is_harmless(c, g_home.objects[which])) return true;
  }
  return false;
}

}  // namespace om::stub
