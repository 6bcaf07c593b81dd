// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/start_numbers.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "migrator/members/datagram.h"

namespace om::members {
namespace {

constexpr const char* kFile = "gossip";

uint64_t since_1970(WallTime now, int64_t per_second) {
  const auto time =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  return time <= 0 ? 0 : static_cast<uint64_t>(time / (1000000 / per_second));
}

Result<StartNumbers> parse(const std::string& text) {
  StartNumbers numbers;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), end, numbers.incarnation);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == ' ') {
    const auto second = std::from_chars(first.ptr + 1, end, numbers.counter);
    if (second.ec == std::errc() && second.ptr + 1 == end && *second.ptr == '\n' &&
        numbers.incarnation < kMaxIncarnation && numbers.counter < UINT64_MAX / 2)
      return numbers;
  }
  return plain_error("not two numbers of an earlier start");
}

}  // namespace

StartNumbers next_numbers(StartNumbers last, WallTime now) {
  StartNumbers next{since_1970(now, 1), since_1970(now, 1000000)};
  if (last.counter != 0) {
    next.incarnation = std::max(next.incarnation, last.incarnation + 1);
    next.counter = std::max(next.counter, last.counter + kCountersPerLife);
  }
  next.counter = std::max<uint64_t>(next.counter, 1);
  return next;
}

Result<StartNumbers> take_start_numbers(const OwnDirectory& directory, WallTime now) {
  StartNumbers last;
  if (directory.has(kFile)) {
    auto read = parse(OM_TRY(directory.read(kFile)));
    if (!read) return plain_error(directory.path() + "/" + kFile + ": " + read.error().text());
    last = *read;
  }
  const StartNumbers next = next_numbers(last, now);
  OM_TRY(directory.replace(kFile, fmt::format("{} {}\n", next.incarnation, next.counter), 0600));
  return next;
}

}  // namespace om::members
