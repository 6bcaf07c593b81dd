// SPDX-License-Identifier: Apache-2.0
//
// What may happen to a member, as every kind of membership tells it.
#pragma once

#include <stdint.h>

namespace om::members {

// Of the last three it is what it was otherwise. kRestated: says something else of itself. kTcpOnly: answers this
// node's dials and no ping. kDatagrams: pings again.
enum class ChangeKind : uint8_t {
  kJoined,
  kLeft,
  kSuspected,
  kDown,
  kUp,
  kDenied,
  kRestated,
  kTcpOnly,
  kDatagrams,
};

}  // namespace om::members
