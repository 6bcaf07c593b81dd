// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/unwinder.h"

#include <cxxabi.h>
#include <libunwind-x86_64.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>

// Exported by libunwind-x86_64 and used by perf and others in the same way; no public header declares it.
extern "C" int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip,
                                                  unw_dyn_info_t* di, unw_proc_info_t* pi,
                                                  int need_unwind_info, void* arg);

namespace om::deputy {
namespace {

// .eh_frame_hdr with a sorted table of pairs of 4-byte distances: what every linker makes.
struct EhFrameHeader {
  uint8_t version, pointer_encoding, count_encoding, table_encoding;
  int32_t eh_frame;
  uint32_t count;
};
constexpr uint8_t kPcRelative4 = 0x1b, kUnsigned4 = 0x03, kTableRelative4 = 0x3b;

std::string demangled(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string out = status == 0 && text != nullptr ? text : name;
  ::free(text);
  return out;
}

}  // namespace

struct Unwinder::Library {
  unw_accessors_t accessors{};
  unw_addr_space_t space = nullptr;

  static Unwinder& self(void* arg) { return *static_cast<Unwinder*>(arg); }

  static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t* info, int need,
                            void* arg) {
    Unwinder& u = self(arg);
    const proc::Mapping* map = proc::find_mapping(u.maps_, ip);
    if (map == nullptr || (map->prot & PROT_EXEC) == 0) return -UNW_ENOINFO;
    const auto& table = u.table(*map);
    if (!table) return -UNW_ENOINFO;
    unw_dyn_info_t di{};
    di.start_ip = table->start;
    di.end_ip = table->end;
    di.format = UNW_INFO_FORMAT_REMOTE_TABLE;
    di.u.rti.segbase = table->header;
    di.u.rti.table_data = table->header + sizeof(EhFrameHeader);
    di.u.rti.table_len = table->entries * 8 / sizeof(unw_word_t);
    return UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, info, need, arg);
  }
  // dwarf_search_unwind_table allocates nothing that is ours to free.
  static void put_unwind_info(unw_addr_space_t, unw_proc_info_t*, void*) {}
  static int list_address(unw_addr_space_t, unw_word_t*, void*) { return -UNW_ENOINFO; }
  static int access_mem(unw_addr_space_t, unw_word_t address, unw_word_t* value, int write,
                        void* arg) {
    if (write != 0) return -UNW_EREADONLYREG;
    return self(arg).read(address, std::as_writable_bytes(std::span(value, 1))) ? 0 : -UNW_EINVAL;
  }
  static int access_reg(unw_addr_space_t, unw_regnum_t number, unw_word_t* value, int write,
                        void* arg) {
    if (write != 0) return -UNW_EREADONLYREG;
    static constexpr std::pair<int, uint32_t> kOrder[] = {
        {UNW_X86_64_RAX, kRax}, {UNW_X86_64_RDX, kRdx}, {UNW_X86_64_RCX, kRcx},
        {UNW_X86_64_RBX, kRbx}, {UNW_X86_64_RSI, kRsi}, {UNW_X86_64_RDI, kRdi},
        {UNW_X86_64_RBP, kRbp}, {UNW_X86_64_RSP, kRsp}, {UNW_X86_64_R8, kR8},
        {UNW_X86_64_R9, kR9},   {UNW_X86_64_R10, kR10}, {UNW_X86_64_R11, kR11},
        {UNW_X86_64_R12, kR12}, {UNW_X86_64_R13, kR13}, {UNW_X86_64_R14, kR14},
        {UNW_X86_64_R15, kR15}, {UNW_X86_64_RIP, kRip}};
    for (auto [theirs, ours] : kOrder) {
      if (theirs != number) continue;
      *value = self(arg).gpr_[ours];
      return 0;
    }
    return -UNW_EBADREG;
  }
  static int access_fpreg(unw_addr_space_t, unw_regnum_t, unw_fpreg_t*, int, void*) {
    return -UNW_EBADREG;
  }
  static int resume(unw_addr_space_t, unw_cursor_t*, void*) { return -UNW_EINVAL; }
  static int proc_name(unw_addr_space_t, unw_word_t, char*, size_t, unw_word_t*, void*) {
    return -UNW_ENOINFO;
  }

  Library() {
    accessors.find_proc_info = find_proc_info;
    accessors.put_unwind_info = put_unwind_info;
    accessors.get_dyn_info_list_addr = list_address;
    accessors.access_mem = access_mem;
    accessors.access_reg = access_reg;
    accessors.access_fpreg = access_fpreg;
    accessors.resume = resume;
    accessors.get_proc_name = proc_name;
    space = unw_create_addr_space(&accessors, 0);
  }
  ~Library() {
    if (space != nullptr) unw_destroy_addr_space(space);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

Unwinder::Unwinder(std::vector<proc::Mapping> maps, std::string root, Reader reader)
    : maps_(std::move(maps)),
      root_(std::move(root)),
      reader_(std::move(reader)),
      library_(std::make_unique<Library>()) {}

Unwinder::~Unwinder() = default;

std::vector<StackFrame> Unwinder::unwind(std::span<const uint64_t, kGprCount> gpr, size_t limit) {
  std::vector<StackFrame> frames;
  bool exact = true;
  for (const FramePlace& place : walk(gpr, limit)) {
    frames.push_back(describe(place.ip, exact));
    frames.back().signal = exact = place.signal;
  }
  return frames;
}

std::vector<FramePlace> Unwinder::walk(std::span<const uint64_t, kGprCount> gpr, size_t limit) {
  gpr_ = gpr.data();
  std::vector<FramePlace> places{{gpr[kRip], gpr[kRsp], false}};
  unw_cursor_t cursor;
  if (library_->space == nullptr || unw_init_remote(&cursor, library_->space, this) != 0)
    return places;
  while (places.size() < limit) {
    if (unw_step(&cursor) <= 0) break;
    // Whether libunwind has just taken the cursor out of a signal frame.
    const bool signal = unw_is_signal_frame(&cursor) > 0;
    places.back().signal = signal;
    unw_word_t ip = 0, sp = 0;
    if (unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0) break;
    if (unw_get_reg(&cursor, UNW_REG_SP, &sp) != 0) break;
    // Only a signal frame may lead to another stack; any other step that does not go up goes round in circles.
    if (!signal && sp <= places.back().sp && places.size() > 1) break;
    places.push_back({ip, sp, false});
  }
  return places;
}

bool Unwinder::read(uint64_t address, std::span<std::byte> to) {
  while (!to.empty()) {
    const uint64_t page = address & ~(kPageBytes - 1);
    auto [it, fresh] = pages_.try_emplace(page);
    if (fresh) {
      it->second.resize(kPageBytes);
      if (!reader_(page, it->second)) it->second.clear();
    }
    if (it->second.empty()) return false;
    const size_t from = address - page;
    const size_t n = std::min<size_t>(to.size(), kPageBytes - from);
    memcpy(to.data(), it->second.data() + from, n);
    to = to.subspan(n);
    address += n;
  }
  return true;
}

const std::optional<Unwinder::Table>& Unwinder::table(const proc::Mapping& map) {
  auto it = tables_.find(map.start);
  if (it == tables_.end()) it = tables_.emplace(map.start, find_table(map)).first;
  return it->second;
}

// The program headers are in the module's first page, as ld.so needs them there.
std::optional<Unwinder::Table> Unwinder::find_table(const proc::Mapping& map) {
  uint64_t base = map.start;
  if (map.kind == proc::MapKind::kFile) {
    const proc::Mapping* first = nullptr;
    for (const auto& m : maps_) {
      if (m.start > map.start) break;
      const bool same =
          m.inode == map.inode && m.dev_major == map.dev_major && m.dev_minor == map.dev_minor;
      if (same && m.offset == 0) first = &m;
    }
    if (first == nullptr) return std::nullopt;
    base = first->start;
  } else if (map.kind != proc::MapKind::kVdso) {
    return std::nullopt;
  }
  const auto segments = mapped_segments(
      base, [&](uint64_t address, std::span<std::byte> to) { return read(address, to); });
  if (!segments) return std::nullopt;
  std::optional<uint64_t> bias, header_address;
  for (const auto& p : *segments) {
    if (p.p_type == PT_LOAD && !bias) bias = base - (p.p_vaddr & ~(kPageBytes - 1));
    if (p.p_type == PT_GNU_EH_FRAME) header_address = p.p_vaddr;
  }
  if (!bias || !header_address) return std::nullopt;
  const uint64_t at = *bias + *header_address;
  EhFrameHeader header{};
  if (!read(at, std::as_writable_bytes(std::span(&header, 1)))) return std::nullopt;
  if (header.version != 1 || header.pointer_encoding != kPcRelative4 ||
      header.count_encoding != kUnsigned4 || header.table_encoding != kTableRelative4)
    return std::nullopt;
  return Table{map.start, map.end, at, header.count};
}

StackFrame Unwinder::describe(uint64_t ip, bool exact) {
  StackFrame frame;
  frame.ip = ip;
  const proc::Mapping* map = proc::find_mapping(maps_, ip);
  if (map == nullptr) return frame;
  frame.module = map->path;
  frame.module_offset = ip - map->start + map->offset;
  if (map->kind != proc::MapKind::kFile) return frame;
  auto it = symbols_.find(map->path);
  if (it == symbols_.end()) {
    auto read = ElfSymbols::read(root_ + map->path);
    it = symbols_.emplace(map->path, std::nullopt).first;
    if (read) it->second = std::move(*read);
  }
  if (!it->second) return frame;
  // A return address may already belong to the next function: a call that never returns ends one.
  const uint64_t within = frame.module_offset - (exact ? 0 : 1);
  if (const ElfSymbol* symbol = it->second->find(within)) {
    frame.symbol = demangled(symbol->name);
    frame.offset = it->second->distance(*symbol, within) + (exact ? 0 : 1);
  }
  return frame;
}

}  // namespace om::deputy
