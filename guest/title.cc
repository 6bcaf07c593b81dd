// SPDX-License-Identifier: Apache-2.0
#include "guest/title.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/proc/stat.h"
#include "libom/abi/kernel.h"
#include "libom/abi/layout.h"

namespace om::guest {
namespace {

constexpr size_t kMaxGuest = 96, kMaxCommand = 64;
static_assert(sizeof(k::PrctlMmMap) + kMaxGuest + kMaxCommand + 16 <= kControlTitleSize);

}  // namespace

std::string body_title(std::string_view guest, std::string_view command) {
  std::string title =
      fmt::format("om-body: {} {}", guest.substr(0, kMaxGuest), command.substr(0, kMaxCommand));
  std::replace_if(
      title.begin(), title.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return title;
}

Result<void> keep_title(const ProcessMemory& body, uint64_t arena, std::string_view title) {
  const auto stat = OM_TRY(proc::read_stat(body.pid()));
  const uint64_t at = arena + kControlTitle;
  k::PrctlMmMap map{};
  map.start_code = stat.startcode;
  map.end_code = stat.endcode;
  map.start_data = stat.start_data;
  map.end_data = stat.end_data;
  map.start_brk = map.brk = stat.start_brk;  // a launcher does not use it
  map.start_stack = stat.startstack;
  map.exe_fd = -1;
  map.arg_start = at + sizeof map;
  map.arg_end = map.arg_start + title.size() + 1;
  map.env_start = map.env_end = map.arg_end;
  std::vector<std::byte> page(sizeof map + title.size() + 1);
  const auto head = std::as_bytes(std::span(&map, 1));
  const auto text = std::as_bytes(std::span(title));
  std::copy(text.begin(), text.end(), std::copy(head.begin(), head.end(), page.begin()));
  return body.write(at, page);
}

}  // namespace om::guest
