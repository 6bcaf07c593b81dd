// SPDX-License-Identifier: Apache-2.0
//
// None of home's code may run in a body: it reads the kernel's pages beside it, and a counter of its own machine. Each
// function begins with a jump to libom's. Everything after the jump faults, and the gate takes the process home, where
// the instruction runs (libom/gate/handlers.cc): a function that a signal handler interrupted before the process left
// goes on when the handler returns.
//
// Such a thread may come to any byte, so those of the jump must fault as well when executed as instructions. e9 and
// four bytes lead to a place in front of the image, where there is room for a jump to any address. As the place is
// near, the upper two of the four are ff; ff ff is not an instruction. The lower two are chosen among bytes that are
// not instructions either, which leaves many places for each function.
#include "deputy/memory/body_vdso.h"

#include <elf.h>
#include <string.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "common/elf/vdso.h"
#include "libom/abi/anchor.h"
#include "libom/abi/layout.h"

namespace om::deputy {
namespace {

constexpr size_t kRoom = 2 * kPageSize;  // in front of the image
constexpr size_t kFarJump = 14;          // ff 25 00000000, then the address
constexpr size_t kNearJump = 5;

// Invalid or privileged whatever follows.
constexpr uint8_t kFaults[] = {0xf4, 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37,
                               0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xea, 0xfa, 0xfb};
constexpr uint8_t kNoModrm = 0x3f;  // faults, also right after ff

VdsoFunction function_of(std::string_view name) {
  if (name.starts_with("__vdso_")) name.remove_prefix(7);
  if (name == "clock_gettime") return kVdsoClockGettime;
  if (name == "gettimeofday") return kVdsoGettimeofday;
  if (name == "time") return kVdsoTime;
  if (name == "getcpu") return kVdsoGetcpu;
  if (name == "clock_getres") return kVdsoClockGetres;
  if (name == "getrandom") return kVdsoGetrandom;
  return kVdsoOther;
}

void fill(std::vector<std::byte>& out, size_t from, size_t bytes) {
  std::fill_n(out.begin() + static_cast<ptrdiff_t>(from), bytes, std::byte{kFaults[0]});
}

// All code, including functions without symbols. What unwinders and linkers look at stays.
void fill_code(std::span<const std::byte> image, size_t room, std::vector<std::byte>& out) {
  Elf64_Ehdr head;
  memcpy(&head, image.data(), sizeof head);  // parse_vdso() has seen it
  if (head.e_shentsize != sizeof(Elf64_Shdr)) return;
  for (size_t i = 0; i < head.e_shnum; i++) {
    Elf64_Shdr section;
    const size_t at = head.e_shoff + i * sizeof section;
    if (head.e_shoff > image.size() || at + sizeof section > image.size()) return;
    memcpy(&section, image.data() + at, sizeof section);
    if ((section.sh_flags & SHF_EXECINSTR) == 0 || section.sh_offset > image.size()) continue;
    fill(out, room + section.sh_offset,
         std::min<size_t>(section.sh_size, image.size() - section.sh_offset));
  }
}

// Where a near jump at `from` can lead so that its bytes fault: an offset below `room` that is not taken.
std::optional<size_t> find_place(size_t from, size_t room, const std::set<size_t>& taken) {
  for (uint8_t high : kFaults) {
    for (uint8_t low : kFaults) {
      const size_t back = 0x10000 - (size_t{high} << 8 | low), behind = from + kNearJump;
      if (back > behind || behind - back + kFarJump > room) continue;
      const size_t place = behind - back;
      const bool free = std::none_of(taken.begin(), taken.end(), [&](size_t other) {
        return place < other + kFarJump && other < place + kFarJump;
      });
      if (free) return place;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<std::byte>> body_vdso(std::span<const std::byte> image, size_t gap,
                                         const Anchor& anchor) {
  const Vdso vdso = OM_TRY(parse_vdso(image));
  const size_t room = std::min(gap, kRoom);
  std::vector<std::byte> out(room, std::byte{kFaults[0]});
  out.insert(out.end(), image.begin(), image.end());
  fill_code(image, room, out);
  for (const VdsoSymbol& symbol : vdso.symbols) {
    const uint64_t bytes = std::max<uint64_t>(symbol.size, kNearJump + 1);
    if (bytes > image.size() - symbol.offset)
      return plain_error("a symbol of the vDSO lies outside it");
    fill(out, room + symbol.offset, bytes);
  }
  std::set<size_t> places, done;
  for (const VdsoSymbol& symbol : vdso.symbols) {
    const size_t from = room + symbol.offset;
    if (!done.insert(from).second) continue;  // another name for it
    const auto place = find_place(from, room, places);
    if (!place) return plain_error("no place for a function of the vDSO");
    places.insert(*place);
    const uint64_t to = anchor.vdso_functions[function_of(symbol.name)];
    const auto near =
        static_cast<int32_t>(static_cast<int64_t>(*place) - static_cast<int64_t>(from + kNearJump));
    uint8_t far_jump[kFarJump] = {0xff, 0x25}, near_jump[kNearJump + 1] = {0xe9};
    memcpy(far_jump + 6, &to, sizeof to);
    memcpy(near_jump + 1, &near, sizeof near);
    near_jump[kNearJump] = kNoModrm;
    memcpy(out.data() + *place, far_jump, sizeof far_jump);
    memcpy(out.data() + from, near_jump, sizeof near_jump);
  }
  return out;
}

}  // namespace om::deputy
