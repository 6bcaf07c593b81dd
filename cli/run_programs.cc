// SPDX-License-Identifier: Apache-2.0
#include "cli/run_programs.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>

#include "cli/glibc.h"
#include "cli/spawned.h"
#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/own_directory.h"
#include "common/base/text.h"
#include "common/tls/openssl.h"

namespace om::cli {
namespace {

constexpr Milliseconds kLoaderLimit{30000};

bool of_glibc(std::string_view library) {
  constexpr std::array<std::string_view, 14> kNames{
      "linux-vdso", "ld-linux-x86-64", "libc",         "libm",           "libpthread",
      "libdl",      "librt",           "libresolv",    "libutil",        "libnsl",
      "libanl",     "libmvec",         "libthread_db", "libBrokenLocale"};
  const std::string_view stem = library.substr(0, library.find(".so"));
  return std::find(kNames.begin(), kNames.end(), stem) != kNames.end();
}

Result<ProgramFile> read_file(const std::string& path, bool own) {
  ProgramFile file;
  file.name = split_path(path).second;
  file.own = own;
  file.bytes = OM_TRY(read_text(path));
  file.hash = to_hex(sha256(file.bytes));
  return file;
}

}  // namespace

Result<std::vector<std::string>> parse_libraries(std::string_view text) {
  std::vector<std::string> paths;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view name = take_field(line), arrow = take_field(line),
                           path = take_field(line);
    // The kernel's and the loader itself have no arrow.
    if (arrow != "=>" || of_glibc(name)) continue;
    if (path.empty() || path.front() != '/')
      return plain_error(fmt::format("the library {} is not found", escaped(name, 80)));
    paths.emplace_back(path);
  }
  return paths;
}

Result<Programs> read_programs() {
  const std::string self = OM_TRY(read_link("/proc/self/exe"));
  std::vector<std::string> paths{self};
  for (const char* name : {"om-migrator", "om-deputy", "om-guest", "om-body"})
    paths.push_back(OM_TRY(find_program(name)));
  Programs programs;
  std::map<std::string, std::string> libraries;  // path by name
  for (const std::string& path : paths) {
    programs.files.push_back(OM_TRY(read_file(path, true)));
    if (path == self) programs.files.back().name = "om";  // or openmosix
    // The body is loaded without a loader.
    if (programs.files.back().name == "om-body") continue;
    const std::string text = OM_TRY(output_of({path}, kLoaderLimit, {"LD_TRACE_LOADED_OBJECTS=1"}));
    for (const std::string& library : OM_TRY(parse_libraries(text)))
      libraries.emplace(split_path(library).second, library);
  }
  programs.files.push_back(OM_TRY(read_file(OM_TRY(find_preload_library()), true)));
  for (const auto& [name, path] : libraries) {
    programs.files.push_back(OM_TRY(read_file(path, false)));
    programs.files.back().name = name;
  }
  for (const ProgramFile& file : programs.files)
    programs.glibc = std::max(programs.glibc, glibc_needed(file.bytes));
  return programs;
}

}  // namespace om::cli
