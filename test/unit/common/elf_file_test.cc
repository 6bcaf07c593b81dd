// SPDX-License-Identifier: Apache-2.0
//
// common/elf/elf_file.h: system programs, programs made here byte by byte (static, 32-bit, with a
// sanitizer's names), scripts and their interpreters, privileged bits, the PATH search, and files
// that lie about themselves.
#include <doctest/doctest.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "common/elf/elf_file.h"

namespace om {
namespace {

class TempDir {
 public:
  TempDir() {
    path_ = "/tmp/om-elf-test-XXXXXX";
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& root() const { return path_; }
  std::string write(const std::string& name, const std::string& content, mode_t mode = 0755) const {
    std::string file = path(name);
    std::ofstream(file, std::ios::binary) << content;
    REQUIRE(chmod(file.c_str(), mode) == 0);
    return file;
  }

 private:
  std::string path_;
};

// A 64-bit program of one segment: header, program headers, dynamic section, strings.
struct MadeUp {
  std::string interpreter;  // PT_INTERP if not empty
  std::vector<std::string> needed;
  std::vector<std::string> symbols;  // names in the string table
  std::string soname;
  bool dynamic = true;

  std::string bytes() const {
    std::string strings(1, '\0');
    std::vector<std::pair<int64_t, uint64_t>> entries;
    auto add = [&](int64_t tag, const std::string& text) {
      entries.emplace_back(tag, strings.size());
      strings += text + '\0';
    };
    for (const std::string& library : needed) add(DT_NEEDED, library);
    if (!soname.empty()) add(DT_SONAME, soname);
    for (const std::string& symbol : symbols) strings += symbol + '\0';
    size_t count = 1 + (interpreter.empty() ? 0 : 1) + (dynamic ? 1 : 0);
    size_t dynamic_at = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    size_t strings_at = dynamic_at + (entries.size() + 3) * sizeof(Elf64_Dyn);
    size_t interpreter_at = strings_at + strings.size();
    size_t size = interpreter_at + interpreter.size() + 1;
    constexpr uint64_t kBase = 0x400000;
    entries.emplace_back(DT_STRTAB, kBase + strings_at);
    entries.emplace_back(DT_STRSZ, strings.size());
    entries.emplace_back(DT_NULL, 0);

    Elf64_Ehdr header{};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = static_cast<uint16_t>(count);
    std::string out(reinterpret_cast<const char*>(&header), sizeof header);
    auto segment = [&](uint32_t type, uint64_t at, uint64_t length) {
      Elf64_Phdr ph{};
      ph.p_type = type;
      ph.p_offset = at;
      ph.p_vaddr = kBase + at;
      ph.p_filesz = ph.p_memsz = length;
      out.append(reinterpret_cast<const char*>(&ph), sizeof ph);
    };
    segment(PT_LOAD, 0, size);
    if (!interpreter.empty()) segment(PT_INTERP, interpreter_at, interpreter.size() + 1);
    if (dynamic) segment(PT_DYNAMIC, dynamic_at, entries.size() * sizeof(Elf64_Dyn));
    for (auto [tag, value] : entries) {
      Elf64_Dyn entry{};
      entry.d_tag = tag;
      entry.d_un.d_val = value;
      out.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    }
    return out + strings + interpreter + '\0';
  }
};

std::string made_up_32bit() {
  Elf32_Ehdr header{};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_machine = EM_386;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = 1;
  Elf32_Phdr segment{};
  segment.p_type = PT_LOAD;
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
         std::string(reinterpret_cast<const char*>(&segment), sizeof segment);
}

ElfFile read_ok(const std::string& path) {
  Result<ElfFile> elf = read_elf_file(path);
  REQUIRE_MESSAGE(elf.ok(), elf.error().text());
  return *elf;
}

TEST_CASE("this program and its loader") {
  ElfFile own = read_ok("/proc/self/exe");
  CHECK(own.is_64bit);
  CHECK(own.machine == EM_X86_64);
  CHECK_FALSE(own.is_static);
  CHECK(own.interpreter.find("/ld-linux-x86-64.so.2") != std::string::npos);
  CHECK(std::find(own.needed.begin(), own.needed.end(), "libc.so.6") != own.needed.end());
#ifndef __SANITIZE_ADDRESS__
  CHECK(own.sanitizer.empty());
#else
  CHECK_FALSE(own.sanitizer.empty());
#endif
  CHECK_FALSE(own.setuid);
  CHECK_FALSE(own.file_capabilities);
  // ld.so has no interpreter, but obeys LD_PRELOAD.
  ElfFile loader = read_ok(own.interpreter);
  CHECK(loader.interpreter.empty());
  CHECK_FALSE(loader.is_static);
}

TEST_CASE("made-up programs") {
  TempDir dir;
  CHECK(read_ok(dir.write("static", MadeUp{.dynamic = false}.bytes())).is_static);
  CHECK(read_ok(dir.write("static-pie", MadeUp{}.bytes())).is_static);
  ElfFile plain = read_ok(dir.write("plain", MadeUp{.interpreter = "/lib64/ld-linux-x86-64.so.2",
                                                    .needed = {"libm.so.6", "libc.so.6"}}
                                                 .bytes()));
  CHECK_FALSE(plain.is_static);
  CHECK(plain.needed == std::vector<std::string>{"libm.so.6", "libc.so.6"});
  CHECK(plain.interpreter == "/lib64/ld-linux-x86-64.so.2");
  CHECK(plain.sanitizer.empty());
  CHECK_FALSE(
      read_ok(dir.write("ld.so", MadeUp{.soname = "ld-linux-x86-64.so.2"}.bytes())).is_static);
  CHECK(read_ok(dir.write("lib.so", MadeUp{.soname = "libx.so"}.bytes())).is_static);
  ElfFile narrow = read_ok(dir.write("narrow", made_up_32bit()));
  CHECK_FALSE(narrow.is_64bit);
  CHECK(narrow.machine == EM_386);
  CHECK(narrow.is_static);
}

TEST_CASE("sanitizers by library and by symbol") {
  TempDir dir;
  auto found = [&](MadeUp program) {
    return read_ok(dir.write("program", program.bytes())).sanitizer;
  };
  CHECK(found({.needed = {"libc.so.6", "libasan.so.8"}}) == "libasan.so.8");
  CHECK(found({.needed = {"libtsan.so.2"}}) == "libtsan.so.2");
  CHECK(found({.needed = {"libclang_rt.asan-x86_64.so"}}) == "libclang_rt.asan-x86_64.so");
  CHECK(found({.symbols = {"main", "__asan_init", "x"}}) == "__asan_init");
  CHECK(found({.symbols = {"__tsan_init"}}) == "__tsan_init");
  CHECK(found({.needed = {"libubsan.so.1"}}) == "");
  CHECK(found({.needed = {"mylibasan.so"}}) == "");
  CHECK(found({.symbols = {"my__asan_init", "__asan_initialize"}}) == "");
  CHECK(sanitizer_runtime("liblsan.so.0") == "liblsan.so.0");
  CHECK(sanitizer_runtime("libc.so.6").empty());
  CHECK(sanitizer_runtime("").empty());
}

TEST_CASE("a runtime that gcc has linked in shows in the symbol table only") {
  TempDir dir;
  // A section table with one symbol table and its strings.
  std::string program = MadeUp{.interpreter = "/lib64/ld-linux-x86-64.so.2"}.bytes();
  std::string names = std::string("\0main\0__asan_init\0", 18);
  Elf64_Shdr sections[2]{};
  sections[0].sh_type = SHT_SYMTAB;
  sections[0].sh_link = 1;
  sections[1].sh_type = SHT_STRTAB;
  sections[1].sh_offset = program.size();
  sections[1].sh_size = names.size();
  Elf64_Ehdr header;
  memcpy(&header, program.data(), sizeof header);
  header.e_shoff = program.size() + names.size();
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  program.replace(0, sizeof header, reinterpret_cast<const char*>(&header), sizeof header);
  program += names + std::string(reinterpret_cast<const char*>(sections), sizeof sections);
  std::string path = dir.write("program", program);
  CHECK(read_ok(path).sanitizer == "__asan_init");
  CHECK(read_elf_file(path, ElfSearch::kDynamicOnly)->sanitizer.empty());
}

TEST_CASE("privileged bits count as exec counts them") {
  TempDir dir;
  struct statvfs mount;
  REQUIRE(statvfs(dir.root().c_str(), &mount) == 0);
  if ((mount.f_flag & ST_NOSUID) != 0) {
    std::string path = dir.write("program", MadeUp{}.bytes(), 06755);
    CHECK_FALSE(read_ok(path).setuid);
    CHECK_FALSE(read_ok(path).setgid);
    return;
  }
  CHECK(read_ok(dir.write("u", MadeUp{}.bytes(), 04755)).setuid);
  CHECK_FALSE(read_ok(dir.write("u", MadeUp{}.bytes(), 04755)).setgid);
  CHECK(read_ok(dir.write("g", MadeUp{}.bytes(), 02755)).setgid);
  CHECK_FALSE(
      read_ok(dir.write("lock", MadeUp{}.bytes(), 02745)).setgid);  // mandatory locking, once
  CHECK(read_ok(dir.write("u", MadeUp{}.bytes())).owner == geteuid());
}

TEST_CASE("what is no program") {
  TempDir dir;
  auto error = [&](const std::string& path) {
    Result<ElfFile> elf = read_elf_file(path);
    return elf ? 0 : elf.error().err;
  };
  CHECK(error(dir.path("missing")) == ENOENT);
  CHECK(error(dir.root()) == EACCES);
  CHECK(error("/dev/null") == EACCES);
  CHECK(error(dir.write("empty", "")) == ENOEXEC);
  CHECK(error(dir.write("text", "hello world, this is text\n")) == ENOEXEC);
  CHECK(error(dir.write("magic", ELFMAG)) == ENOEXEC);
  CHECK(error(dir.write("short", MadeUp{}.bytes().substr(0, 60))) == EBADMSG);
  std::string core = MadeUp{}.bytes();
  core[offsetof(Elf64_Ehdr, e_type)] = ET_CORE;
  CHECK(error(dir.write("core", core)) == ENOEXEC);
  std::string big_endian = MadeUp{}.bytes();
  big_endian[EI_DATA] = ELFDATA2MSB;
  CHECK(error(dir.write("big", big_endian)) == ENOEXEC);
  REQUIRE(mkfifo(dir.path("fifo").c_str(), 0700) == 0);
  CHECK(error(dir.path("fifo")) == EACCES);  // and does not wait for a writer
}

TEST_CASE("files cut anywhere and with changed bytes end in an answer") {
  TempDir dir;
  std::string good = MadeUp{
      .interpreter = "/lib64/ld-linux-x86-64.so.2",
      .needed = {"libc.so.6"},
      .symbols = {
          "main"}}.bytes();
  for (size_t size = 0; size < good.size(); ++size) {
    Result<ElfFile> elf = read_elf_file(dir.write("cut", good.substr(0, size)));
    if (!elf) CHECK((elf.error().err == ENOEXEC || elf.error().err == EBADMSG));
  }
  std::minstd_rand random(9);
  for (int round = 0; round < 3000; ++round) {
    std::string changed = good;
    for (int i = 0; i < 3; ++i)
      changed[random() % changed.size()] = static_cast<char>(random() % 2 == 0 ? 0xff : random());
    Result<ElfFile> elf = read_elf_file(dir.write("changed", changed));
    if (!elf) CHECK((elf.error().err == ENOEXEC || elf.error().err == EBADMSG));
  }
}

TEST_CASE("scripts lead to their interpreter") {
  TempDir dir;
  std::string sh = dir.write("sh", "#!/bin/sh\n");
  Result<ResolvedProgram> program = resolve_program(sh, "");
  REQUIRE_MESSAGE(program.ok(), program.error().text());
  CHECK(program->path == "/bin/sh");
  CHECK(program->scripts == std::vector<std::string>{sh});
  CHECK_FALSE(program->elf.is_static);

  CHECK(resolve_program(dir.write("blanks", "#! \t /bin/sh \t -e  \nexit\n"), "")->path ==
        "/bin/sh");
  CHECK(resolve_program(dir.write("no-newline", "#!/bin/sh"), "")->path == "/bin/sh");
  // A file that is neither goes to the shell, as with execvp.
  CHECK(resolve_program(dir.write("plain", "echo hello\n"), "")->path == "/bin/sh");
  CHECK(resolve_program(dir.write("nothing", ""), "")->path == "/bin/sh");

  std::string inner = dir.write("inner", "#!" + sh + "\n");
  std::string outer = dir.write("outer", "#!" + inner + "\n");
  program = resolve_program(outer, "");
  REQUIRE(program.ok());
  CHECK(program->scripts == std::vector<std::string>{outer, inner, sh});

  std::string last = sh;
  for (int i = 0; i < 4; ++i) last = dir.write("chain" + std::to_string(i), "#!" + last + "\n");
  CHECK(resolve_program(last, "").ok());  // five scripts
  last = dir.write("chain4", "#!" + last + "\n");
  CHECK(resolve_program(last, "").error().err == ELOOP);
  std::string loop = dir.path("loop");
  dir.write("loop", "#!" + loop + "\n");
  CHECK(resolve_program(loop, "").error().err == ELOOP);
}

TEST_CASE("scripts whose interpreter is missing or unusable") {
  TempDir dir;
  auto error = [&](const std::string& content) {
    return resolve_program(dir.write("script", content), "/bin:/usr/bin").error().err;
  };
  CHECK(error("#!" + dir.path("missing") + "\n") == ENOENT);
  CHECK(error("#!" + dir.write("plain", "x", 0644) + "\n") == EACCES);
  CHECK(error("#!\n") == ENOEXEC);
  CHECK(error("#!   \n") == ENOEXEC);
  CHECK(error("#!" + dir.write("text", "no program") + "\n") == ENOEXEC);
  CHECK(error("#!/usr/bin/env om-no-such-program\n") == ENOENT);
  CHECK(
      resolve_program(dir.write("foreign", MadeUp{.interpreter = "/lib/ld-no-such.so"}.bytes()), "")
          .error()
          .err == ENOENT);
}

TEST_CASE("env in a #! line stands for its argument") {
  TempDir dir;
  std::string name = dir.write("om-static-thing", MadeUp{}.bytes());
  Result<ResolvedProgram> program = resolve_program(
      dir.write("script", "#!/usr/bin/env om-static-thing\n"), "/bin:" + dir.root());
  REQUIRE_MESSAGE(program.ok(), program.error().text());
  CHECK(program->path == name);
  CHECK(program->elf.is_static);
  for (const char* argument : {"-S sh -e", "A=1", "-i"}) {
    program = resolve_program(dir.write("script", "#!/usr/bin/env " + std::string(argument) + "\n"),
                              "/bin");
    REQUIRE(program.ok());
    CHECK(program->path == "/usr/bin/env");
  }
}

TEST_CASE("PATH is searched as execvp does") {
  TempDir dir, other;
  dir.write("om-tool", MadeUp{}.bytes(), 0644);
  std::string path = dir.root() + ":" + other.root();
  CHECK(resolve_program("om-tool", path).error().err == EACCES);
  CHECK(resolve_program("om-tool", other.root()).error().err == ENOENT);
  CHECK(resolve_program("om-tool", "").error().err == ENOENT);
  CHECK(resolve_program("", path).error().err == ENOENT);
  std::string second = other.write("om-tool", MadeUp{}.bytes());
  CHECK(resolve_program("om-tool", path)->path == second);
  CHECK(resolve_program(second, "")->path == second);
  CHECK(resolve_program(dir.path("om-tool"), path).error().err == EACCES);
  CHECK(resolve_program(dir.root(), path).error().err == EACCES);
  CHECK(resolve_program(dir.path("missing"), path).error().err == ENOENT);

  // An empty element is the current directory.
  std::string before = std::filesystem::current_path();
  REQUIRE(chdir(other.root().c_str()) == 0);
  CHECK(resolve_program("om-tool", "/nowhere:")->path == "om-tool");
  CHECK(resolve_program("om-tool", ":/nowhere")->path == "om-tool");
  REQUIRE(chdir(before.c_str()) == 0);
}

TEST_CASE("a program that may be executed but not read") {
  TempDir dir;
  std::string path = dir.write("program", MadeUp{}.bytes(), 0111);
  if (access(path.c_str(), R_OK) == 0) {
    MESSAGE("skip: this user reads everything");
    return;
  }
  Result<ResolvedProgram> program = resolve_program(path, "");
  REQUIRE(program.ok());
  CHECK_FALSE(program->readable);
  CHECK(program->path == path);
}

}  // namespace
}  // namespace om
