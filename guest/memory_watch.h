// SPDX-License-Identifier: Apache-2.0
//
// Tells when memory around a body runs short, or the body has more than it may: looks at what is left, more often the
// less there is, and at once when the kernel reports that somebody is waiting for memory (PSI, where available).
//
// KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include <string>

#include "common/base/unique_fd.h"
#include "guest/memory_room.h"

namespace om::guest {

class MemoryWatch {
 public:
  // `headroom`: bytes that the body must leave free; see is_short(). `most`: bytes that it may have; 0: no limit.
  MemoryWatch(kj::AsyncIoContext& io, uint64_t headroom, uint64_t most);

  // Resolves to what is short as soon as something is, maybe at once. An earlier question then gets no answer.
  kj::Promise<std::string> shortage(pid_t body);

 private:
  kj::Promise<std::string> look(pid_t body, uint64_t question);
  kj::Promise<void> pause(kj::Duration most);

  kj::AsyncIoContext& io_;
  uint64_t headroom_, most_;
  RoomReader room_;
  uint64_t questions_ = 0;
  UniqueFd pressure_;
  kj::Own<kj::UnixEventPort::FdObserver> observer_;
};

}  // namespace om::guest
