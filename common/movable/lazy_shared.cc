// SPDX-License-Identifier: Apache-2.0
#include "common/movable/lazy_shared.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>

namespace om {

std::vector<std::string> lazy_shared_patterns() {
  const char* text = ::getenv("OM_LAZY_SHARED");
  std::string rest = text != nullptr ? text : "/tmp/hsperfdata_*/[0-9]*";
  std::vector<std::string> patterns;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) patterns.push_back(rest.substr(0, end));
    rest.erase(0, end + 1);
  }
  return patterns;
}

void set_lazy_shared_patterns(const std::vector<std::string>& patterns) {
  std::string text;
  for (const std::string& pattern : patterns) text += (text.empty() ? "" : ":") + pattern;
  ::setenv("OM_LAZY_SHARED", text.c_str(), 1);
}

bool is_lazy_shared(const proc::Mapping& map, const std::vector<std::string>& patterns) {
  if (map.kind != proc::MapKind::kFile || !map.shared || map.deleted ||
      (map.prot & PROT_WRITE) == 0)
    return false;
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), map.path.c_str(), FNM_PATHNAME) == 0;
  });
}

}  // namespace om
