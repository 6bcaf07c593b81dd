// SPDX-License-Identifier: Apache-2.0
//
// What a program file says before it runs: its class, whether ld.so loads it (and with it libom.so), sanitizer
// runtimes, bits that raise privileges, and the interpreter behind a "#!" line. For `om check`, `om run` and the exe of
// a running process. Users may name any file, so nothing in it is trusted and only the needed pieces are read.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om {

enum class ElfSearch : uint8_t {
  kDynamicOnly,  // sanitizer symbols in the dynamic table: a few reads
  kAllSymbols,   // also in .symtab, which a runtime linked in by gcc needs: may read megabytes
};

struct ElfFile {
  bool is_64bit = false;
  uint16_t machine = 0;             // EM_*
  uint16_t type = 0;                // ET_EXEC or ET_DYN
  std::string interpreter;          // PT_INTERP, empty if none
  bool is_static = false;           // no PT_INTERP, and not ld.so itself: LD_PRELOAD has no effect
  std::vector<std::string> needed;  // DT_NEEDED; this and the next: 64-bit files only
  std::string sanitizer;            // library or symbol of a sanitizer runtime, empty if none
  bool setuid = false;  // bits as exec applies them: regular file, mount without nosuid,
  bool setgid = false;  // set-gid only with group execute
  bool file_capabilities = false;
  uint32_t owner = 0, group = 0;
};

// ENOENT, EACCES, ... from opening `path`; ENOEXEC if it is not an ELF program or library; EBADMSG if its tables are
// broken.
Result<ElfFile> read_elf_file(const std::string& path, ElfSearch search = ElfSearch::kAllSymbols);

// The ELF file that exec of a program ends up running.
struct ResolvedProgram {
  std::string path;                  // of the ELF file
  std::vector<std::string> scripts;  // files with a "#!" line before it, outermost first
  bool readable = true;              // false: executable but not readable, `elf` is empty
  ElfFile elf;
};

// Finds argv0 as execvp does (`path_env` holds directories separated by ':'; a name with a slash is used as is) and
// follows "#!" lines up to the kernel's limit of 5 files; "#!/usr/bin/env NAME" continues with NAME. A file that is
// neither ELF nor script is run by /bin/sh, as execvp does. ENOENT: not found, or its interpreter is missing. EACCES:
// found but not executable. ELOOP: too many interpreters.
Result<ResolvedProgram> resolve_program(const std::string& argv0, std::string_view path_env,
                                        ElfSearch search = ElfSearch::kAllSymbols);

// The name itself if it is that of a sanitizer runtime ("libasan.so.8"), else empty.
std::string_view sanitizer_runtime(std::string_view basename);

}  // namespace om
