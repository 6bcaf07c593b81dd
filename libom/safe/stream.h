// SPDX-License-Identifier: Apache-2.0
//
// The byte stream of a channel, for gate and executor alike, plain or sealed. Nothing else reads from or writes to a
// channel's descriptor. Bytes received and not yet taken outlive a Stream, in the slot (StreamState and Seal). Queued
// bytes do not: the code that queues must flush. Streams do not interpret the bytes.
//
// Plain: buffered reading and writing; long runs bypass the buffers.
// Sealed: the keys have come with the descriptor (attach()). Records are made and opened in the buffers, never in the
// program's memory, where others could change what has been checked. A flush is one record if it has at most
// kMostSealed bytes. The receive buffer has opened bytes, then a gap, then records that have not been opened, of the
// last perhaps only a part. A record that does not open, and one that no libom makes, is kLost: what was opened before
// has been delivered, nothing after it is.
//
// Callers never see EINTR and EAGAIN. Results other than 0: kLost, -EFAULT where stated, kAborted where there is a
// `cancel`. Freestanding; checked by test/unit/libom/stream_test.cc and test/fuzz/sealed_stream.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/thread.h"
#include "libom/safe/seal.h"
#include "libom/safe/syscall.h"

namespace om::safe {

constexpr long kLost = -5002;  // the peer has closed the connection, or it is broken

// A new connection and its keys take the place of the old; closing that one's descriptor is the caller's business. The
// descriptor is stored last, so a thread that waits for it sees all the rest.
// Context: gate, exec, restore
void attach(StreamState& state, Seal& seal, int32_t fd, const ChannelKeys& keys);
// There is no connection any more: forgets what it has received, wipes its keys. Does not close its descriptor.
// Context: gate, exec
void detach(StreamState& state, Seal& seal);

class Stream {
 public:
  // Copies between a buffer and the caller's memory: 0, or -EFAULT for inaccessible memory.
  using Copy = long (*)(void* to, const void* from, size_t n);
  struct Buffer {
    uint8_t* at;
    size_t
        bytes;  // sealed: more than kMostSealed + kRecordOverhead for receiving, kRecordOverhead for sending
  };
  // How to write, depending on where the thread runs.
  enum class Manner : uint8_t {
    kWrite,  // the filter of a body allows read and write only; SIGPIPE is ignored there
    kSend,   // the program must get no SIGPIPE from us: everything is sent with MSG_NOSIGNAL
  };

  Stream(StreamState& state, Seal& seal, Buffer in, Buffer out, Copy copy, Manner manner)
      : state_(state),
        seal_(seal),
        in_(in),
        out_(out),
        is_sealed_(state.sealed != kStreamPlain),
        copy_(copy),
        manner_(manner) {}

  // Bytes received and not yet taken.
  const uint8_t* data() const { return in_.at + state_.used; }
  size_t available() const { return state_.filled - state_.used; }
  // How many of them there can be at once: the largest message that the other end can look at as a whole.
  size_t most() const { return in_.bytes - (is_sealed_ ? kMostSealed + kRecordOverhead : 0); }

  // Receives until `want` bytes, at most most(), are available. 0, kLost, or kAborted once *cancel is not 0; then
  // nothing is lost.
  // Context: gate, exec
  long fill(size_t want, volatile uint32_t* cancel = nullptr);

  // Takes n bytes, received or not, into `to`, or drops them if that is nullptr; bytes not received yet go straight
  // there if the channel is plain. 0, kLost, or -EFAULT: the bytes are consumed all the same, some may be in place.
  // Context: gate, exec
  long take(void* to, size_t n);

  // Where an encoder may write, and how much; queue() says that it has written n bytes there.
  uint8_t* room() { return out_.at + (is_sealed_ ? kRecordHeader : 0) + queued_; }
  size_t room_left() const { return most_queued() - queued_; }
  void queue(size_t n) { queued_ += n; }
  size_t queued() const { return queued_; }

  // Queues n bytes. If there is no room for them, sends what is queued, and a long run from where it lies (plain) or
  // through the buffer. 0, kLost or -EFAULT: some may have been sent.
  // Context: gate, exec
  long put(const void* from, size_t n);

  // Sends what is queued. 0 or kLost.
  // Context: gate, exec
  long flush();
  // Sends what is queued and n bytes from where they lie: plain in one system call if possible, sealed through the
  // buffer. 0, kLost or -EFAULT.
  // Context: gate, exec
  long flush_with(const void* from, size_t n);

 private:
  enum class Opened : uint8_t { kOne, kNeedsMore, kBad };

  long receive_some(void* to, size_t n, volatile uint32_t* cancel);
  long send_all(const void* from, size_t n);
  // What fits into the send buffer; not more than the receiver can have in its own (most()).
  size_t most_queued() const;

  long start_sealing();
  long seal_and_send(size_t n);
  Opened open_next();
  void join(size_t contents, size_t n);
  bool make_room(size_t record);
  long fill_sealed(size_t want, volatile uint32_t* cancel);
  long take_sealed(uint8_t* to, size_t n);

  StreamState& state_;
  Seal& seal_;
  const Buffer in_, out_;
  size_t queued_ = 0;
  const bool is_sealed_;
  const Copy copy_;
  const Manner manner_;
};

}  // namespace om::safe
