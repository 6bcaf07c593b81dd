// SPDX-License-Identifier: Apache-2.0
#include "common/net/ports.h"

#include <fmt/core.h>

#include "common/base/log.h"
#include "common/base/text.h"

namespace om {

Result<PortRange> PortRange::parse(std::string_view text) {
  const size_t dash = text.find('-');
  const std::string_view to = dash == text.npos ? text : text.substr(dash + 1);
  PortRange range;
  if (!parse_number(text.substr(0, dash), range.first) || !parse_number(to, range.last) ||
      range.first == 0 || range.first > range.last)
    return plain_error(fmt::format("{} is no range of ports: 4701-4799", escaped(text, 80)));
  return range;
}

std::string PortRange::text() const {
  return first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
}

}  // namespace om
