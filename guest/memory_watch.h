// SPDX-License-Identifier: Apache-2.0
//
// Tells when the memory around a body gets short: looks at what is left, the less there is the more often, and at once
// when the kernel says that somebody waits for memory (PSI, where there is such a thing).
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
  // `headroom` bytes are not for the body; see is_short().
  MemoryWatch(kj::AsyncIoContext& io, uint64_t headroom);

  // Resolves to what is short as soon as something is, maybe at once. Who asked before is not answered any more.
  kj::Promise<std::string> shortage(pid_t body);

 private:
  kj::Promise<std::string> look(pid_t body, uint64_t question);
  kj::Promise<void> pause(kj::Duration most);

  kj::AsyncIoContext& io_;
  uint64_t headroom_;
  RoomReader room_;
  uint64_t questions_ = 0;
  UniqueFd pressure_;
  kj::Own<kj::UnixEventPort::FdObserver> observer_;
};

}  // namespace om::guest
