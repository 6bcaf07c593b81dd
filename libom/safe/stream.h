// SPDX-License-Identifier: Apache-2.0
//
// The byte stream of a channel, for gate and executor alike: buffered reading and writing; long runs bypass the
// buffers. Nothing else reads from or writes to a channel's descriptor, so a record layer would go here. Bytes received
// and not yet taken outlive a Stream, in the slot (StreamState). Queued bytes do not: the code that queues must flush.
// Streams do not interpret the bytes.
//
// Callers never see EINTR and EAGAIN. Results other than 0: kLost, -EFAULT where stated, kAborted where there is a
// `cancel`. Freestanding; checked by test/unit/libom/stream_test.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/thread.h"
#include "libom/safe/syscall.h"

namespace om::safe {

constexpr long kLost = -5002;  // the peer has closed the connection, or it is broken

class Stream {
 public:
  // Copies between a buffer and the caller's memory: 0, or -EFAULT for inaccessible memory.
  using Copy = long (*)(void* to, const void* from, size_t n);
  struct Buffer {
    uint8_t* at;
    size_t bytes;
  };
  // How to write, depending on where the thread runs.
  enum class Manner : uint8_t {
    kWrite,  // the filter of a body allows read and write only; SIGPIPE is ignored there
    kSend,   // the program must get no SIGPIPE from us: everything is sent with MSG_NOSIGNAL
  };

  Stream(StreamState& state, Buffer in, Buffer out, Copy copy, Manner manner)
      : state_(state), in_(in), out_(out), copy_(copy), manner_(manner) {}

  // Bytes received and not yet taken.
  const uint8_t* data() const { return in_.at + state_.used; }
  size_t available() const { return state_.filled - state_.used; }

  // Receives until `want` bytes (at most the receive buffer's) are available. 0, kLost, or kAborted once *cancel is
  // not 0; then nothing is lost.
  // Context: gate, exec
  long fill(size_t want, volatile uint32_t* cancel = nullptr);

  // Takes n bytes, received or not, into `to`, or drops them if that is nullptr; bytes not received yet go straight
  // there. 0, kLost, or -EFAULT: the bytes are consumed all the same, some may be in place.
  // Context: gate, exec
  long take(void* to, size_t n);

  // Where an encoder may write, and how much; queue() says that it has written n bytes there.
  uint8_t* room() { return out_.at + queued_; }
  size_t room_left() const { return out_.bytes - queued_; }
  void queue(size_t n) { queued_ += n; }

  // Queues n bytes. If there is no room for them, sends what is queued, and a long run from where it lies.
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
