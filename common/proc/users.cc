// SPDX-License-Identifier: Apache-2.0
#include "common/proc/users.h"

#include <errno.h>
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/base/text.h"

namespace om::proc {
namespace {

constexpr uid_t kNobody = 65534;
constexpr uid_t kHighest = UINT32_MAX - 2;

}  // namespace

Result<UserRange> UserRange::parse(std::string_view text) {
  const size_t dash = text.find('-');
  UserRange range;
  if (dash == text.npos || !parse_number(text.substr(0, dash), range.first) ||
      !parse_number(text.substr(dash + 1), range.last) || range.first > range.last)
    return plain_error("no range of user ids, such as 60100-60999: " + escaped(text, 40));
  if (range.first == 0 || range.contains(kNobody) || range.last > kHighest)
    return plain_error(fmt::format("{}: ids that no range may hold are among them", range.text()));
  if (range.last - range.first >= kMost)
    return plain_error(fmt::format("{}: more than {} ids", range.text(), kMost));
  return range;
}

std::string UserRange::text() const { return fmt::format("{}-{}", first, last); }

bool user_has_processes(uid_t uid) {
  errno = 0;
  return ::getpriority(PRIO_USER, uid) != -1 || errno != ESRCH;
}

uint64_t usual_most_threads() {
  uint64_t most = RLIM_INFINITY;
  for (const char* path : {"/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"}) {
    const auto text = read_text(path);
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    uint64_t number = 0;
    if (!rest.empty() && parse_number(take_line(rest), number) && number != 0)
      most = std::min<uint64_t>(most, number - number / 4);
  }
  return most;
}

}  // namespace om::proc
