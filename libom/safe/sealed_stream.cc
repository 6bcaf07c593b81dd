// SPDX-License-Identifier: Apache-2.0
//
// The part of stream.h that concerns sealed channels: keys that come and go with a connection, records in the slot's
// buffers.
#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/mem.h"
#include "libom/safe/stream.h"

namespace om::safe {

// Context: gate, exec, restore
void attach(StreamState& state, Seal& seal, int32_t fd, const ChannelKeys& keys) {
  detach(state, seal);
  if (keys.cipher != kChannelPlain) {
    seal.offered = keys;
    state.sealed = kStreamOffered;
  }
  store_release(&state.fd, fd);
}

// Context: gate, exec, restore
void detach(StreamState& state, Seal& seal) {
  // A slot whose channels are plain never touches the page with its keys.
  if (state.sealed != kStreamPlain) wipe(&seal, sizeof seal);
  state.sealed = kStreamPlain;
  state.filled = state.used = 0;
  store_release(&state.fd, -1);
}

size_t Stream::most_queued() const {
  if (!is_sealed_) return out_.bytes;
  const size_t fits = out_.bytes - kRecordOverhead;
  return fits < most() ? fits : most();
}

// Expanding needs a deep stack and may be slow, so it is left to the thread that has the channel. 0 or kLost.
long Stream::start_sealing() {
  if (state_.sealed == kStreamSealed) return 0;
  if (expand_keys(seal_) != 0) return kLost;
  state_.sealed = kStreamSealed;
  return 0;
}

// Sends the n bytes behind the place of a header in the send buffer, as records. 0 or kLost.
long Stream::seal_and_send(size_t n) {
  if (n == 0) return 0;
  if (const long r = start_sealing(); r != 0) return r;
  uint8_t* record = out_.at;
  while (n > 0) {
    const size_t chunk = n < kMostSealed ? n : kMostSealed;
    // The tag takes the place of what follows until it has been sent; the next header that of what has been sent.
    uint8_t* const tag = record + kRecordHeader + chunk;
    uint8_t behind[kRecordTag];
    copy_bytes(behind, tag, sizeof behind);
    if (seal_record(seal_, record, chunk) != 0) return kLost;
    const long r = send_all(record, chunk + kRecordOverhead);
    if (r != 0) return r;
    copy_bytes(tag, behind, sizeof behind);
    record += chunk;
    n -= chunk;
  }
  return 0;
}

// Makes sure that the next record, of this size in all, fits behind `raw`. False if it cannot.
bool Stream::make_room(size_t record) {
  if (record <= in_.bytes - seal_.raw) return true;
  const size_t left = available(), here = seal_.raw_end - seal_.raw;
  if (record > in_.bytes - left) return false;
  memmove(in_.at, data(), left);
  memmove(in_.at + left, in_.at + seal_.raw, here);
  state_.used = 0;
  state_.filled = seal_.raw = left;
  seal_.raw_end = left + here;
  return true;
}

// Adds the n opened bytes at `contents` of the receive buffer to those that have not been taken. Moves the shorter.
void Stream::join(size_t contents, size_t n) {
  constexpr size_t kShort = 256;  // memmove is slow upwards
  const size_t left = available();
  if (left <= kShort) {
    memmove(in_.at + contents - left, data(), left);
    state_.used = contents - left;
  } else {
    memmove(in_.at + state_.filled, in_.at + contents, n);
    contents = state_.filled;
  }
  state_.filled = contents + n;
}

Stream::Opened Stream::open_next() {
  if (available() == 0 && seal_.raw == seal_.raw_end)
    state_.used = state_.filled = seal_.raw = seal_.raw_end = 0;
  const size_t here = seal_.raw_end - seal_.raw;
  if (here < kRecordHeader) return make_room(kRecordHeader) ? Opened::kNeedsMore : Opened::kBad;
  // Not authenticated yet: it may only say how much to receive.
  const size_t n = load<uint32_t>(in_.at + seal_.raw);
  if (n == 0 || n > kMostSealed) return Opened::kBad;
  const size_t size = n + kRecordOverhead;
  if (here < size) return make_room(size) ? Opened::kNeedsMore : Opened::kBad;
  if (open_record(seal_, in_.at + seal_.raw, n) != 0) return Opened::kBad;
  const size_t contents = seal_.raw + kRecordHeader;
  seal_.raw += size;
  join(contents, n);
  return Opened::kOne;
}

long Stream::fill_sealed(size_t want, volatile uint32_t* cancel) {
  if (const long r = start_sealing(); r != 0) return r;
  while (available() < want) {
    const Opened opened = open_next();
    if (opened == Opened::kBad) return kLost;
    if (opened == Opened::kOne) continue;
    const long r = receive_some(in_.at + seal_.raw_end, in_.bytes - seal_.raw_end, cancel);
    if (r < 0) return r == kAborted ? r : kLost;
    seal_.raw_end += static_cast<uint64_t>(r);
  }
  return 0;
}

long Stream::take_sealed(uint8_t* to, size_t n) {
  long fault = 0;
  while (n > 0) {
    if (available() == 0) {
      const long r = fill_sealed(1, nullptr);
      if (r != 0) return r;
    }
    const size_t chunk = n < available() ? n : available();
    if (to != nullptr) {
      if (fault == 0) fault = copy_(to, data(), chunk);
      to += chunk;
    }
    state_.used += chunk;
    n -= chunk;
  }
  return fault;
}

}  // namespace om::safe
