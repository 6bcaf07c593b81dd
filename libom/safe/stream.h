// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a channel, for gate and executor alike: buffered reading and writing, long runs from where they lie
// and to where they belong. Nobody else reads from or writes to a channel's descriptor, so this is where a record
// layer goes. What has been received and not been taken yet outlives a Stream: it lies in the slot (StreamState). What
// has been queued does not: whoever queues flushes. No meaning of bytes here.
//
// EINTR and EAGAIN are not seen outside. Results that are not 0: kLost, -EFAULT where it says so, kAborted where there
// is a `cancel`. Freestanding; checked by test/unit/libom/stream_test.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/thread.h"
#include "libom/safe/syscall.h"

namespace om::safe {

constexpr long kLost = -5002;  // the peer has closed the connection, or it is broken

class Stream {
 public:
  // Copies between a buffer and the memory of whoever calls: 0, or -EFAULT for memory that is not there.
  using Copy = long (*)(void* to, const void* from, size_t n);
  struct Buffer {
    uint8_t* at;
    size_t bytes;
  };
  // What the thread's surroundings ask for.
  enum class Manner : uint8_t {
    kWrite,  // the filter of a body allows read and write only; SIGPIPE is ignored there
    kSend,   // the program's SIGPIPE is none of ours: everything is sent with MSG_NOSIGNAL
  };

  Stream(StreamState& state, Buffer in, Buffer out, Copy copy, Manner manner)
      : state_(state), in_(in), out_(out), copy_(copy), manner_(manner) {}

  // What has been received and not been taken.
  const uint8_t* data() const { return in_.at + state_.used; }
  size_t available() const { return state_.filled - state_.used; }

  // Receives until `want` bytes (at most the receive buffer's) are available. 0, kLost, or kAborted once *cancel is
  // not 0; then nothing is lost.
  // Context: gate, exec
  long fill(size_t want, volatile uint32_t* cancel = nullptr);

  // Takes n bytes, received or not, to `to`, or drops them if that is nullptr: what has not been received goes
  // straight to its place. 0, kLost, or -EFAULT: the bytes are gone all the same, some may be in place.
  // Context: gate, exec
  long take(void* to, size_t n);

  // Room for what an encoder writes, and that it has written n bytes there.
  uint8_t* room() { return out_.at + queued_; }
  size_t room_left() const { return out_.bytes - queued_; }
  void queue(size_t n) { queued_ += n; }

  // Queues n bytes. If there is no room for them what is queued is sent, and a long run is sent from where it lies.
  // 0, kLost or -EFAULT: some may have been sent.
  // Context: gate, exec
  long put(const void* from, size_t n);

  // Sends what is queued. 0 or kLost.
  // Context: gate, exec
  long flush();
  // Sends what is queued and n bytes from where they lie, in one system call if possible. 0, kLost or -EFAULT.
  // Context: gate, exec
  long flush_with(const void* from, size_t n);

 private:
  long receive_some(void* to, size_t n, volatile uint32_t* cancel);
  long send_all(const void* from, size_t n);

  StreamState& state_;
  const Buffer in_, out_;
  size_t queued_ = 0;
  const Copy copy_;
  const Manner manner_;
};

}  // namespace om::safe
