// SPDX-License-Identifier: Apache-2.0
#include "common/elf/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/base/unique_fd.h"

namespace om {
namespace {

constexpr size_t kMaxSegments = 512;
constexpr size_t kMaxSections = 65535;
constexpr size_t kMaxDynamicEntries = 8192;
constexpr size_t kMaxNeeded = 1024;
constexpr uint64_t kMaxNameBytes = uint64_t{512} << 20;
constexpr size_t kScriptLine = 256;  // BINPRM_BUF_SIZE
constexpr int kMaxInterpreters = 5;

Error broken(const char* what) { return Error{EBADMSG, std::string("ELF file: ") + what}; }

class File {
 public:
  static Result<File> open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) return errno_error("open " + path);
    File file;
    if (::fstat(fd.get(), &file.stat_) != 0) return errno_error("stat " + path);
    if (!S_ISREG(file.stat_.st_mode)) return Error{EACCES, path + " is not a regular file"};
    file.fd_ = std::move(fd);
    return file;
  }

  int fd() const { return fd_.get(); }
  const struct stat& info() const { return stat_; }

  // Up to `length` bytes; fewer only at the end of the file.
  Result<std::string> read(uint64_t offset, size_t length) const {
    std::string bytes(length, '\0');
    size_t got = 0;
    while (got < length && offset <= uint64_t{INT64_MAX} - length) {
      ssize_t n =
          ::pread(fd_.get(), bytes.data() + got, length - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error("read");
      if (n == 0) break;
      got += static_cast<size_t>(n);
    }
    bytes.resize(got);
    return bytes;
  }

  // `count` records, all of them.
  template <class T>
  Result<std::vector<T>> records(uint64_t offset, size_t count) const {
    std::string bytes = OM_TRY(read(offset, count * sizeof(T)));
    if (bytes.size() != count * sizeof(T)) return broken("a table is outside the file");
    std::vector<T> out(count);
    if (count != 0) memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }

  // NUL-terminated, shorter than PATH_MAX.
  Result<std::string> string_at(uint64_t offset) const {
    std::string bytes = OM_TRY(read(offset, PATH_MAX));
    size_t end = bytes.find('\0');
    if (end == std::string::npos) return broken("a name has no end");
    bytes.resize(end);
    return bytes;
  }

 private:
  UniqueFd fd_;
  struct stat stat_ {};
};

constexpr std::array<std::string_view, 5> kRuntimeLibraries = {
    "libasan.so", "libtsan.so", "libhwasan.so", "liblsan.so", "libmsan.so"};
// Clang's shared runtimes: libclang_rt.asan-x86_64.so, libclang_rt.tsan.so, ...
constexpr std::array<std::string_view, 5> kClangRuntimes = {"libclang_rt.asan", "libclang_rt.tsan",
                                                            "libclang_rt.hwasan",
                                                            "libclang_rt.lsan", "libclang_rt.msan"};
constexpr std::array<std::string_view, 5> kRuntimeSymbols = {
    "__asan_init", "__tsan_init", "__hwasan_init", "__lsan_init", "__msan_init"};

// Searches a string table for a runtime's symbol, piece by piece: the table may be huge.
Result<std::string> find_runtime_symbol(const File& file, uint64_t offset, uint64_t size) {
  constexpr size_t kPiece = size_t{1} << 20;
  constexpr size_t kOverlap = 32;
  if (size > kMaxNameBytes) return broken("string table is too long");
  for (uint64_t at = 0; at < size; at += kPiece) {
    std::string bytes =
        OM_TRY(file.read(offset + at, std::min<uint64_t>(size - at, kPiece + kOverlap)));
    if (bytes.empty()) return broken("a string table is outside the file");
    for (std::string_view symbol : kRuntimeSymbols) {
      std::string whole = '\0' + std::string(symbol) + '\0';
      if (bytes.find(whole) != std::string::npos) return std::string(symbol);
    }
  }
  return std::string();
}

// File offset of what is loaded at `address`.
std::optional<uint64_t> offset_of(const std::vector<Elf64_Phdr>& segments, uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    if (address - segment.p_vaddr < segment.p_filesz)
      return segment.p_offset + (address - segment.p_vaddr);
  }
  return std::nullopt;
}

struct DynamicInfo {
  std::vector<uint64_t> needed;
  uint64_t soname = 0, strings = 0, string_bytes = 0;
};

Result<DynamicInfo> read_dynamic(const File& file, const Elf64_Phdr& segment) {
  size_t count = segment.p_filesz / sizeof(Elf64_Dyn);
  if (count > kMaxDynamicEntries) return broken("dynamic section is too long");
  DynamicInfo out;
  for (const Elf64_Dyn& entry : OM_TRY(file.records<Elf64_Dyn>(segment.p_offset, count))) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_NEEDED) out.needed.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_SONAME) out.soname = entry.d_un.d_val;
    if (entry.d_tag == DT_STRTAB) out.strings = entry.d_un.d_ptr;
    if (entry.d_tag == DT_STRSZ) out.string_bytes = entry.d_un.d_val;
  }
  if (out.needed.size() > kMaxNeeded) return broken("too many libraries");
  return out;
}

// DT_NEEDED, the sanitizer among them, and whether the file is ld.so (through *is_loader).
Result<void> read_libraries(const File& file, const std::vector<Elf64_Phdr>& segments,
                            const Elf64_Phdr& dynamic, ElfFile& elf, bool& is_loader) {
  DynamicInfo info = OM_TRY(read_dynamic(file, dynamic));
  if (info.strings == 0) return {};
  std::optional<uint64_t> strings = offset_of(segments, info.strings);
  if (!strings) return broken("string table is in no segment");
  for (uint64_t name : info.needed) {
    if (name >= info.string_bytes) return broken("a library name is outside the string table");
    elf.needed.push_back(OM_TRY(file.string_at(*strings + name)));
    if (elf.sanitizer.empty()) elf.sanitizer = sanitizer_runtime(elf.needed.back());
  }
  if (info.soname != 0 && info.soname < info.string_bytes) {
    std::string soname = OM_TRY(file.string_at(*strings + info.soname));
    is_loader = soname.compare(0, 8, "ld-linux") == 0 || soname.compare(0, 7, "ld-musl") == 0;
  }
  if (elf.sanitizer.empty())
    elf.sanitizer = OM_TRY(find_runtime_symbol(file, *strings, info.string_bytes));
  return {};
}

// The names of .symtab, if the file has not been stripped.
Result<void> search_symtab(const File& file, const Elf64_Ehdr& header, ElfFile& elf) {
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_shnum > kMaxSections)
    return {};
  std::vector<Elf64_Shdr> sections =
      OM_TRY(file.records<Elf64_Shdr>(header.e_shoff, header.e_shnum));
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& names = sections[section.sh_link];
    elf.sanitizer = OM_TRY(find_runtime_symbol(file, names.sh_offset, names.sh_size));
    return {};
  }
  return {};
}

template <class Ehdr, class Phdr>
Result<std::vector<Phdr>> read_segments(const File& file, const Ehdr& header, ElfFile& elf) {
  if (header.e_phentsize != sizeof(Phdr) || header.e_phnum > kMaxSegments) {
    return broken("program headers are out of range");
  }
  std::vector<Phdr> segments = OM_TRY(file.records<Phdr>(header.e_phoff, header.e_phnum));
  for (const Phdr& segment : segments) {
    if (segment.p_type == PT_INTERP) elf.interpreter = OM_TRY(file.string_at(segment.p_offset));
  }
  return segments;
}

Result<void> read_elf64(const File& file, const std::string& head, ElfSearch search, ElfFile& elf) {
  Elf64_Ehdr header;
  if (head.size() < sizeof header) return broken("the file is too short");
  memcpy(&header, head.data(), sizeof header);
  std::vector<Elf64_Phdr> segments =
      OM_TRY((read_segments<Elf64_Ehdr, Elf64_Phdr>(file, header, elf)));
  bool is_loader = false;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    Result<void> read = read_libraries(file, segments, segment, elf, is_loader);
    if (!read) return read;
    break;
  }
  elf.is_static = elf.interpreter.empty() && !is_loader;
  if (elf.sanitizer.empty() && search == ElfSearch::kAllSymbols)
    return search_symtab(file, header, elf);
  return {};
}

Result<void> read_elf32(const File& file, const std::string& head, ElfFile& elf) {
  Elf32_Ehdr header;
  if (head.size() < sizeof header) return broken("the file is too short");
  memcpy(&header, head.data(), sizeof header);
  Result<std::vector<Elf32_Phdr>> segments =
      read_segments<Elf32_Ehdr, Elf32_Phdr>(file, header, elf);
  if (!segments) return segments.error();
  elf.is_static = elf.interpreter.empty();
  return {};
}

void read_privileges(const File& file, ElfFile& elf) {
  elf.owner = file.info().st_uid;
  elf.group = file.info().st_gid;
  struct statvfs mount;
  if (::fstatvfs(file.fd(), &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0) return;
  mode_t mode = file.info().st_mode;
  elf.setuid = (mode & S_ISUID) != 0;
  elf.setgid = (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  elf.file_capabilities = ::fgetxattr(file.fd(), "security.capability", nullptr, 0) > 0;
}

Result<ElfFile> parse_elf(const File& file, const std::string& head, ElfSearch search) {
  if (head.size() < EI_NIDENT || memcmp(head.data(), ELFMAG, SELFMAG) != 0)
    return Error{ENOEXEC, "not an ELF file"};
  ElfFile elf;
  elf.is_64bit = head[EI_CLASS] == ELFCLASS64;
  if (!elf.is_64bit && head[EI_CLASS] != ELFCLASS32) return broken("unknown class");
  if (head[EI_DATA] != ELFDATA2LSB) return Error{ENOEXEC, "ELF file of another byte order"};
  uint16_t type_machine[2];
  if (head.size() < EI_NIDENT + sizeof type_machine) return broken("the file is too short");
  memcpy(type_machine, head.data() + EI_NIDENT, sizeof type_machine);
  elf.type = type_machine[0];
  elf.machine = type_machine[1];
  if (elf.type != ET_EXEC && elf.type != ET_DYN)
    return Error{ENOEXEC, "ELF file, but not a program"};
  Result<void> read =
      elf.is_64bit ? read_elf64(file, head, search, elf) : read_elf32(file, head, elf);
  if (!read) return read.error();
  read_privileges(file, elf);
  return elf;
}

// "#!interpreter [argument]": both trimmed, as the kernel cuts them.
struct Shebang {
  std::string interpreter, argument;
};

std::optional<Shebang> parse_shebang(std::string_view head) {
  if (head.size() < 2 || head[0] != '#' || head[1] != '!') return std::nullopt;
  constexpr std::string_view kBlank = " \t";
  std::string_view line = head.substr(2, kScriptLine - 2);
  line = line.substr(0, line.find_first_of(std::string_view("\n\0", 2)));
  size_t begin = line.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return Shebang{};
  line = line.substr(begin, line.find_last_not_of(kBlank) - begin + 1);
  size_t cut = line.find_first_of(kBlank);
  Shebang out{std::string(line.substr(0, cut)), ""};
  if (cut != std::string_view::npos)
    out.argument = line.substr(line.find_first_not_of(kBlank, cut));
  return out;
}

// The errno with which exec would refuse the file, 0 if it would start it.
int executable_error(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return errno;
  if (!S_ISREG(info.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

Result<std::string> find_executable(const std::string& name, std::string_view path_env) {
  if (name.empty()) return Error{ENOENT, "empty command name"};
  if (name.find('/') != std::string::npos) {
    int err = executable_error(name);
    if (err != 0) return Error{err, name};
    return name;
  }
  int worst = ENOENT;
  for (std::string_view rest = path_env;;) {
    size_t colon = rest.find(':');
    std::string directory(rest.substr(0, colon));
    std::string path = directory.empty() ? name : directory + "/" + name;
    int err = executable_error(path);
    if (err == 0) return path;
    if (err == EACCES) worst = EACCES;  // execvp goes on searching, and reports this in the end
    if (colon == std::string_view::npos) return Error{worst, name};
    rest.remove_prefix(colon + 1);
  }
}

// Whether it is "#!/usr/bin/env NAME", which starts NAME from PATH; options and assignments are left to env itself.
bool is_env_with_name(const Shebang& line) {
  size_t slash = line.interpreter.rfind('/');
  std::string_view base =
      std::string_view(line.interpreter).substr(slash == std::string::npos ? 0 : slash + 1);
  return base == "env" && !line.argument.empty() && line.argument[0] != '-' &&
         line.argument.find_first_of("= \t") == std::string::npos;
}

}  // namespace

std::string_view sanitizer_runtime(std::string_view basename) {
  auto starts = [&](std::string_view name) { return basename.substr(0, name.size()) == name; };
  if (std::any_of(kRuntimeLibraries.begin(), kRuntimeLibraries.end(), starts)) return basename;
  if (std::any_of(kClangRuntimes.begin(), kClangRuntimes.end(), starts)) return basename;
  return {};
}

Result<ElfFile> read_elf_file(const std::string& path, ElfSearch search) {
  File file = OM_TRY(File::open(path));
  std::string head = OM_TRY(file.read(0, sizeof(Elf64_Ehdr)));
  Result<ElfFile> elf = parse_elf(file, head, search);
  if (!elf) return Error{elf.error().err, path + ": " + elf.error().what};
  return elf;
}

Result<ResolvedProgram> resolve_program(const std::string& argv0, std::string_view path_env,
                                        ElfSearch search) {
  ResolvedProgram out;
  std::string path = OM_TRY(find_executable(argv0, path_env));
  for (int files = 0; files <= kMaxInterpreters; ++files) {
    Result<File> file = File::open(path);
    if (!file && file.error().err == EACCES) {
      out.path = path;
      out.readable = false;
      return out;
    }
    if (!file) return file.error();
    Result<std::string> head = file->read(0, kScriptLine);
    if (!head) return head.error();
    std::optional<Shebang> line = parse_shebang(*head);
    bool is_elf = head->compare(0, SELFMAG, ELFMAG) == 0;
    if (is_elf) {
      Result<ElfFile> elf = parse_elf(*file, *head, search);
      if (!elf) return Error{elf.error().err, path + ": " + elf.error().what};
      if (!elf->interpreter.empty() && ::access(elf->interpreter.c_str(), X_OK) != 0) {
        return errno_error(path + ": its loader " + elf->interpreter);
      }
      out.path = path;
      out.elf = std::move(*elf);
      return out;
    }
    // execvp passes a file that the kernel does not recognise to the shell, but only the file it was asked for.
    if (!line && files > 0) return Error{ENOEXEC, path};
    if (line && line->interpreter.empty()) return Error{ENOEXEC, path + ": empty #! line"};
    out.scripts.push_back(path);
    std::string next = line ? line->interpreter : "/bin/sh";
    int err = executable_error(next);
    if (err != 0) return Error{err, path + ": its interpreter " + next};
    if (line && is_env_with_name(*line)) {
      Result<std::string> found = find_executable(line->argument, path_env);
      if (!found) return Error{found.error().err, path + ": its interpreter " + line->argument};
      next = *found;
    }
    path = next;
  }
  return Error{ELOOP, argv0 + ": too many interpreters"};
}

}  // namespace om
