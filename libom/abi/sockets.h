// SPDX-License-Identifier: Apache-2.0
//
// Messages on the socket between libom at home and the deputy, and on the one between a body and its keeper.
// Both are unix seqpacket sockets; descriptors travel attached.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace om {

// How the bytes of one end of a channel are sealed. Travels with the descriptor of the channel; the other end has the
// two keys the other way round. From common/tls/session_keys.h: one key a direction of a connection.
enum ChannelCipher : uint32_t {
  kChannelPlain = 0,  // not sealed, no keys
  kChannelAes256Gcm = 1,
  kChannelChaCha20Poly1305 = 2,
};
struct ChannelKeys {
  uint32_t cipher;  // ChannelCipher
  uint32_t pad;
  uint8_t send[32];
  uint8_t receive[32];
};
static_assert(sizeof(ChannelKeys) == 72);

// Messages on the deputy socket between libom at home and the deputy (unix seqpacket).
enum HomeMessageType : uint32_t {
  kHomeRemoteDone = 1,  // H: a remote function has finished: slot, a = result
  kHomeKick = 2,        // H: slot has a signal for a body that may be computing
  kHomeWantHome = 3,    // H: slot, a = call number that must run at home; kNrSetMask: signals
                        // arrive faster than round trips
  kHomeExecing = 4,     // H: execve is about to be tried / has failed (a = 1 / 0)
  kHomeEffect = 5,      // H: the first effectful Call has been started
  kHomeCpus = 6,        // H: a thread's CPU affinity has changed: a = HomeState.cpu_changes
};
struct HomeMessage {
  uint32_t type;
  uint32_t slot;
  uint32_t member;  // HomeState.member: the deputy drops what another member says
  uint32_t pad;
  uint64_t a;
};

// An executor that lost its channel sends this on the deputy socket, with one end of a new socket pair attached. The
// answer arrives at the other end: one FetchReply with the new channel attached (verdict 0), or a verdict alone. If the
// program has no descriptor number left for a pair, one executor at a time gets its answer on the deputy socket itself.
struct FetchRequest {
  uint64_t magic;  // kFetchMagic; no HomeMessage has this struct's size
  uint8_t session_id[16];
  uint32_t slot;
  uint32_t epoch;
  int32_t tid;
  uint32_t here;  // 1: nothing is attached, answer on the deputy socket
  uint32_t member;
  uint32_t pad;
};
constexpr uint64_t kFetchMagic = 0x4843544546544d4full;
static_assert(sizeof(FetchRequest) != sizeof(HomeMessage));
struct FetchReply {
  uint32_t verdict;  // 0 channel attached, 1 wait and ask again, 2 the session is over
  uint32_t slot;
  ChannelKeys keys;  // of the channel; without one all zero
};
static_assert(sizeof(FetchReply) == 80);

// Channels at capture, on the deputy socket, with `count` descriptors attached.
constexpr uint32_t kChannelBatch = 64;
struct ChannelBatch {
  uint32_t count;
  uint32_t last;  // 1: no more follow
  uint32_t slot[kChannelBatch];
  ChannelKeys keys[kChannelBatch];
};
static_assert(sizeof(ChannelBatch) == 8 + kChannelBatch * (4 + sizeof(ChannelKeys)));

// Messages on the keeper socket (descriptor 3 of the body, unix seqpacket).
enum BodyMessageType : uint32_t {
  kBodyLaunch =
      1,  // K: slot = slots to map; a = image_lo, b = image_hi, c = arena, d = arena bytes, e = gate_lo, f = gate_hi
  kBodyMapped = 2,  // B: a = 0 or -errno
  kBodyEnter = 3,   // K: a = body_entry, b = slot address, c = number of LaunchSegments that follow
  kBodyRestored = 4,     // B: address space exists; a = 0 or -errno, b = address it failed at
  kBodyFilled = 5,       // K: memory is in
  kBodyReady = 6,        // B: threads exist; a = 0 or -errno
  kBodyCommit = 7,       // K: go
  kBodyNeedChannel = 8,  // B: slot
  kBodyChannel = 9,      // K: slot, descriptor attached; a BodyChannel
  kBodyIsParked = 10,    // B: slot, a = generation
  kBodyPanic = 11,       // B: a = value, b.. = text; the body exits
  kBodyObject = 12,      // K: before kBodyEnter: memory object attached, to be mapped [a, b)
};
struct BodyMessage {
  uint32_t type;
  uint32_t slot;
  uint64_t a, b, c, d, e, f;
};
static_assert(sizeof(BodyMessage) == 56);

// kBodyChannel in full.
struct BodyChannel {
  BodyMessage head;
  ChannelKeys keys;
};
static_assert(sizeof(BodyChannel) == sizeof(BodyMessage) + sizeof(ChannelKeys));

struct LaunchSegment {
  uint64_t lo, hi;
  uint32_t prot;
  uint32_t pad;
};
constexpr uint32_t kMaxSegments = 16;

}  // namespace om
