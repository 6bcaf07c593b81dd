// SPDX-License-Identifier: Apache-2.0
//
// Where executors put what calls read and write: in their slot or, if it is larger, in mappings of their own in the
// executor area (libom/abi/layout.h).
#include "libom/stub/executor_memory.h"

#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {

using safe::sys;

namespace {

void unmap(uint64_t& address, uint64_t& bytes) {
  if (bytes == 0) return;
  sys(kNr_munmap, address, bytes);
  safe::fetch_add(&g_home.executor_area_bytes, -bytes);
  address = bytes = 0;
}

// Mapping and unmapping costs more than sending the contents.
void keep_or_unmap(uint64_t& address, uint64_t& bytes) {
  if (bytes > kKeptEach || safe::load_acquire(&g_home.executor_area_bytes) > kKeptAll)
    unmap(address, bytes);
}

}  // namespace

// Context: exec
uint8_t* map_in_executor_area(HomeThread* t, ExecutorAreaPlace place, uint64_t bytes) {
  constexpr long kHow = k::kProtRead | k::kProtWrite;
  constexpr long kWhat = k::kMapPrivate | k::kMapAnonymous | k::kMapFixedNoreplace;
  uint64_t& address = place == kForOutputs ? t->bounce_address : t->message_address;
  uint64_t& mapped = place == kForOutputs ? t->bounce_bytes : t->message_bytes;
  if (bytes > mapped) {
    unmap(address, mapped);
    const uint64_t room = (bytes + kPageSize - 1) & ~(kPageSize - 1);
    // At no other place: mappings that the body makes meanwhile would replace it.
    if (room > kExecutorAreaEach || !has_executor_area(g_home.arena, g_home.nslots)) return nullptr;
    const uint64_t at = executor_area_address(g_home.arena, t->slot, place);
    const long r = sys(kNr_mmap, at, room, kHow, kWhat, -1, 0);
    if (r < 0 && r > -4096) return nullptr;
    address = static_cast<uint64_t>(r);
    mapped = room;
    safe::fetch_add(&g_home.executor_area_bytes, room);
  }
  return reinterpret_cast<uint8_t*>(address);
}

// Context: exec
uint8_t* bounce(HomeThread* t, uint64_t bytes) {
  if (bytes > kMaxCallBytes) return nullptr;
  t->call.bounced = bytes > kSlotBounce;
  uint8_t* p = slot_base(t) + kSlotSend + kBounceOffset;
  if (t->call.bounced) p = map_in_executor_area(t, kForOutputs, bytes);
  if (p == nullptr) return nullptr;
  safe::set_bytes(p, 0, bytes < kPageSize ? bytes : kPageSize);
  return p;
}

// Context: exec
void release_bounce(HomeThread* t) {
  t->call.bounced = 0;
  keep_or_unmap(t->bounce_address, t->bounce_bytes);
}

// Context: exec
void release_message(HomeThread* t) { keep_or_unmap(t->message_address, t->message_bytes); }

// Context: exec
void unmap_executor_area(HomeThread* t) {
  t->call.bounced = 0;
  unmap(t->bounce_address, t->bounce_bytes);
  unmap(t->message_address, t->message_bytes);
}

}  // namespace om::stub
