// SPDX-License-Identifier: Apache-2.0
//
// Runs a fuzz target over every file of the directories (or the files) given as arguments. Exit
// status 0, 2 for usage or an unreadable file; a finding ends the process by a signal, and the last
// line on stderr names the input.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "test/fuzz/fuzz.h"

namespace {

bool run_file(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rbe");
  if (file == nullptr) return false;
  std::vector<uint8_t> bytes;
  uint8_t chunk[4096];
  for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;) {
    bytes.insert(bytes.end(), chunk, chunk + n);
  }
  const bool good = ferror(file) == 0;
  fclose(file);
  // Of the exact size, so that a sanitizer detects a read beyond it.
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
  if (!bytes.empty()) memcpy(exact.get(), bytes.data(), bytes.size());
  fprintf(stderr, "%s\n", path.c_str());
  if (good) LLVMFuzzerTestOneInput(exact.get(), bytes.size());
  return good;
}

// Returns the number of files run, or -1.
int run_path(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return -1;
  if (!S_ISDIR(status.st_mode)) return run_file(path) ? 1 : -1;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return -1;
  int count = 0;
  for (dirent* entry; count >= 0 && (entry = readdir(directory)) != nullptr;) {
    if (entry->d_name[0] == '.') continue;
    count = run_file(path + "/" + entry->d_name) ? count + 1 : -1;
  }
  closedir(directory);
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s CORPUS-DIRECTORY-OR-FILE...\n", argv[0]);
    return 2;
  }
  int total = 0;
  for (int i = 1; i < argc; i++) {
    const int count = run_path(argv[i]);
    if (count <= 0) {
      fprintf(stderr, "%s: %s: nothing to run\n", argv[0], argv[i]);
      return 2;
    }
    total += count;
  }
  printf("%d inputs\n", total);
  return 0;
}
