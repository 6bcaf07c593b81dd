// SPDX-License-Identifier: Apache-2.0
//
// One record of a sealed channel, made and opened: the format of common/tls/record.h (4 bytes length as associated
// data, contents, 16 bytes tag; the nonce is the record's number in its direction), with AES-256-GCM or
// ChaCha20-Poly1305 of BearSSL (tools/bearssl_object.py).
//
// BearSSL uses the vector registers, in which the program has its own values: seal.S saves and restores the sixteen
// that legacy SSE instructions can change, and these leave the upper halves alone. Nothing is read from the program's
// memory or thread-local storage, so any thread of libom's may seal, whatever its TLS base.
//
// Keys lie in the slot, expanded once for each connection. Called by sealed_stream.cc; can_seal() by whoever is given
// keys. Freestanding; checked by test/unit/libom/seal_test.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"
#include "libom/abi/sockets.h"

namespace om::safe {

constexpr size_t kRecordHeader = 4, kRecordTag = 16;
constexpr size_t kRecordOverhead = kRecordHeader + kRecordTag;
// Most contents of a record; both ends are libom of one build. With less than the 64 KiB of the format a record fits in
// a slot's buffer behind what is left of those before.
constexpr size_t kMostSealed = 16 << 10;
constexpr uint64_t kMaxSealed = uint64_t{1} << 48;  // records of one key

// The key of one direction as BearSSL wants it.
struct alignas(16) SealKey {
  uint8_t expanded[432];
};

// What a slot has beside its StreamState (kSlotSeal) if its channel is sealed.
struct Seal {
  ChannelKeys offered;      // until they are expanded
  uint64_t sent, received;  // records on this connection
  uint64_t raw, raw_end;    // [raw, raw_end) of the receive buffer has not been opened yet
  uint64_t pad;
  SealKey send, receive;
};
static_assert(sizeof(Seal) <= kSlotSealSize);

// Whether this CPU has what the cipher needs. False for kChannelPlain and unknown ones, too.
// Context: any
bool can_seal(uint32_t cipher);

// Expands the keys in `seal.offered` and wipes them there; both directions begin at record 0. 0 or -ENOTSUP.
// Preconditions: can_seal(), or the result is looked at.
// Context: any
long expand_keys(Seal& seal);

// Makes a record of the n bytes at record + kRecordHeader, in place; room for kRecordTag bytes follows them. 0, or
// -EINVAL for more than kMostSealed and for a key that is used up.
// Context: any
long seal_record(Seal& seal, uint8_t* record, size_t n);

// Opens in place a record whose contents have n bytes. 0, or -EBADMSG for anything but the record that comes next: then
// the contents are wiped, and the connection can only be dropped.
// Context: any
long open_record(Seal& seal, uint8_t* record, size_t n);

// Overwrites with zeros, even if nothing reads them.
// Context: any
void wipe(void* at, size_t n);

}  // namespace om::safe
