// SPDX-License-Identifier: Apache-2.0
#include "common/proc/maps.h"

#include "common/proc/proc_file.h"

#include <sys/mman.h>

#include <algorithm>

namespace om::proc {
namespace {

constexpr uint64_t kPageMask = 4095;
constexpr std::string_view kDeleted = " (deleted)";

bool parse_permissions(std::string_view text, Mapping& map) {
  if (text.size() != 4) return false;
  auto bit = [&](size_t at, char letter, int value) {
    if (text[at] == letter) map.prot |= value;
    return text[at] == letter || text[at] == '-';
  };
  map.shared = text[3] == 's';
  return bit(0, 'r', PROT_READ) && bit(1, 'w', PROT_WRITE) && bit(2, 'x', PROT_EXEC) &&
         (text[3] == 's' || text[3] == 'p');
}

// "A<separator>B", both hexadecimal.
template <class T>
bool parse_pair(std::string_view text, char separator, T& first, T& second) {
  size_t cut = text.find(separator);
  return cut != std::string_view::npos && parse_number(text.substr(0, cut), first, 16) &&
         parse_number(text.substr(cut + 1), second, 16);
}

std::string unescape_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 4) == "\\012") {
      out.push_back('\n');
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

MapKind bracket_kind(std::string_view name) {
  if (name == "[heap]") return MapKind::kHeap;
  if (name == "[stack]") return MapKind::kStack;
  if (name == "[vvar]" || name == "[vvar_vclock]") return MapKind::kVvar;
  if (name == "[vdso]") return MapKind::kVdso;
  if (name == "[vsyscall]") return MapKind::kVsyscall;
  if (starts_with(name, "[anon:")) return MapKind::kAnon;
  if (starts_with(name, "[anon_shmem:")) return MapKind::kAnonShared;
  return MapKind::kSpecialOther;
}

// Files of the kernel's own mounts: device major 0, and unlinked from the start. A user's file of
// the same name on a disk is neither.
MapKind kernel_file_kind(std::string_view path) {
  if (path == "/dev/zero") return MapKind::kAnonShared;
  if (starts_with(path, "/memfd:")) return MapKind::kMemFd;
  if (starts_with(path, "/SYSV") && path.size() == 13) return MapKind::kSysvShm;
  if (path == "/anon_hugepage") return MapKind::kHugetlb;
  for (std::string_view device : {"/[aio]", "/secretmem", "/i915", "/drm mm object", "/dmabuf:"}) {
    if (starts_with(path, device)) return MapKind::kDevice;
  }
  return MapKind::kFile;
}

MapKind classify(const Mapping& map) {
  std::string_view path = map.path;
  if (path.empty()) return map.inode == 0 ? MapKind::kAnon : MapKind::kFile;
  if (path[0] == '[') return bracket_kind(path);
  if (path[0] != '/' && !starts_with(path, "(unreachable)"))
    return MapKind::kDevice;  // anon_inode:, socket:
  if (map.deleted && map.dev_major == 0) {
    MapKind kind = kernel_file_kind(path);
    if (kind != MapKind::kFile) return kind;
  }
  if (starts_with(path, "/dmabuf:")) return MapKind::kDevice;
  if (path == "/dev/zero") return map.shared ? MapKind::kAnonShared : MapKind::kAnon;
  if (starts_with(path, "/dev/hugepages/")) return MapKind::kHugetlb;
  if (starts_with(path, "/dev/shm/")) return MapKind::kFile;
  return starts_with(path, "/dev/") ? MapKind::kDevice : MapKind::kFile;
}

}  // namespace

std::string_view to_string(MapKind kind) {
  switch (kind) {
    case MapKind::kAnon:
      return "private memory";
    case MapKind::kFile:
      return "file";
    case MapKind::kHeap:
      return "heap";
    case MapKind::kStack:
      return "stack";
    case MapKind::kVvar:
      return "vvar";
    case MapKind::kVdso:
      return "vdso";
    case MapKind::kVsyscall:
      return "vsyscall";
    case MapKind::kSpecialOther:
      return "special mapping";
    case MapKind::kSysvShm:
      return "SysV shared memory";
    case MapKind::kAnonShared:
      return "shared anonymous memory";
    case MapKind::kMemFd:
      return "memfd";
    case MapKind::kHugetlb:
      return "huge pages";
    case MapKind::kDevice:
      return "device";
  }
  return "unknown";
}

std::string_view Mapping::basename() const {
  if (path.empty() || path[0] != '/') return {};
  return std::string_view(path).substr(path.rfind('/') + 1);
}

Result<Mapping> parse_maps_line(std::string_view line) {
  Mapping map;
  std::string_view rest = line;
  bool good = parse_pair(take_field(rest), '-', map.start, map.end);
  good = good && parse_permissions(take_field(rest), map);
  good = good && parse_number(take_field(rest), map.offset, 16);
  good = good && parse_pair(take_field(rest), ':', map.dev_major, map.dev_minor);
  good = good && parse_number(take_field(rest), map.inode);
  if (!good || map.start >= map.end || ((map.start | map.end) & kPageMask) != 0) {
    return bad_text("maps", line);
  }
  // Leading blanks are padding; blanks at the end belong to the name.
  size_t name = rest.find_first_not_of(' ');
  rest = name == std::string_view::npos ? std::string_view() : rest.substr(name);
  if (rest.size() > kDeleted.size() && rest.substr(rest.size() - kDeleted.size()) == kDeleted) {
    map.deleted = true;
    rest.remove_suffix(kDeleted.size());
  }
  map.path = unescape_newlines(rest);
  map.kind = classify(map);
  return map;
}

Result<std::vector<Mapping>> parse_maps(std::string_view text) {
  std::vector<Mapping> maps;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    Mapping map = OM_TRY(parse_maps_line(line));
    if (!make_room(maps, map, [](Mapping& m) -> Mapping& { return m; }))
      return bad_text("maps: not ascending", line);
    maps.push_back(std::move(map));
  }
  return maps;
}

Result<std::vector<Mapping>> read_maps(pid_t pid) {
  return parse_maps(OM_TRY(read_proc(pid, "maps")));
}

const Mapping* find_mapping(const std::vector<Mapping>& maps, uint64_t address) {
  auto after =
      std::upper_bound(maps.begin(), maps.end(), address,
                       [](uint64_t value, const Mapping& map) { return value < map.start; });
  if (after == maps.begin()) return nullptr;
  const Mapping& map = *std::prev(after);
  return address < map.end ? &map : nullptr;
}

}  // namespace om::proc
