// SPDX-License-Identifier: Apache-2.0
//
// How sendmsg, recvmsg, sendmmsg and recvmmsg travel (the generic rows cannot describe nested pointers).
//
//   ins:   u64 message count, then per message a WireMsg, and for sending: name, control, data
//   outs:  u64 message count, then per message a WireMsg, and for receiving: name, control, data;
//          for recvmmsg with a timeout, the time left (struct timespec)
//
// Every variable part is padded to 8 bytes. For receiving, the WireMsg of the Call states capacities, the one
// of the Return what was filled in.
#pragma once

#include <stdint.h>

namespace om {

struct WireMsg {
  uint32_t has_name;  // the pointer was not NULL
  uint32_t namelen;
  uint32_t has_control;
  uint32_t flags;  // msg_flags
  uint64_t controllen;
  uint64_t data;    // bytes: sum of the iovec, or transferred
  uint64_t result;  // Return: msg_len of recvmmsg/sendmmsg
};
static_assert(sizeof(WireMsg) == 40);

constexpr uint64_t kMaxName = 4096;  // the kernel refuses a longer name or control block anyway
constexpr uint64_t kMaxControl = 65536;
constexpr uint32_t kMaxMessages = 1024;    // UIO_MAXIOV
constexpr uint32_t kMessagesPerCall = 64;  // more travel in several Calls

}  // namespace om
