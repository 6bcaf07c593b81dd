// SPDX-License-Identifier: Apache-2.0
//
// A range of TCP ports that a firewall lets through.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

struct PortRange {
  uint16_t first = 0, last = 0;  // both included; 0: no range, the kernel chooses

  // "4701-4799", or one port. Error if it is no range, or holds 0.
  static Result<PortRange> parse(std::string_view text);

  bool is_any() const { return first == 0; }
  uint32_t size() const { return is_any() ? 0 : 1u + last - first; }
  std::string text() const;
  bool operator==(const PortRange&) const = default;
};

}  // namespace om
