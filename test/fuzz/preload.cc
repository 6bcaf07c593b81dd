// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the notes of a libom.so in another process (common/movable/preload.h), which the program may have
// overwritten. The bytes are the first page of the library.
#include "common/movable/preload.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kPage = 4096, kMaxImage = 64 << 20;
  static char* const page = static_cast<char*>(
      mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  static auto memory = om::ProcessMemory::open(getpid());
  if (!memory) return 0;
  memset(page, 0, kPage);
  memcpy(page, data, size < kPage ? size : kPage);
  const auto base = reinterpret_cast<uint64_t>(page);
  for (uint32_t type : {om::kNoteAnchor, om::kNoteStart}) {
    const auto found = om::find_note(*memory, base, type);
    require(!found || (*found >= base && *found - base < kMaxImage));
  }
  return 0;
}
