// SPDX-License-Identifier: Apache-2.0
//
// Messages with a descriptor on unix sockets: the socket to the deputy, the one to the keeper. One descriptor per
// message; batches of channels (libom/stub/remote.cc) are read by hand. Freestanding; checked by
// test/unit/libom/unix_fd_test.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/kernel.h"
#include "libom/safe/mem.h"

namespace om::safe {

// The msghdr of recvmsg and sendmsg, for callers that make the system call themselves. Points into itself. Cannot be
// used again after it has received.
class FdMessage {
 public:
  // Context: any
  FdMessage(void* bytes, uint64_t n) : iov_{reinterpret_cast<uint64_t>(bytes), n} {
    header_.iov = reinterpret_cast<uint64_t>(&iov_);
    header_.iovlen = 1;
    header_.control = reinterpret_cast<uint64_t>(control_);
    header_.controllen = sizeof control_;
  }
  FdMessage(const FdMessage&) = delete;
  FdMessage& operator=(const FdMessage&) = delete;

  uint64_t header() const { return reinterpret_cast<uint64_t>(&header_); }

  // Attaches a descriptor to send; -1: none.
  // Context: any
  void attach(int32_t fd) {
    header_.control = fd < 0 ? 0 : reinterpret_cast<uint64_t>(control_);
    header_.controllen = fd < 0 ? 0 : sizeof control_;
    k::Cmsghdr head{};
    head.len = sizeof head + sizeof fd;
    head.level = k::kSolSocket;
    head.type = k::kScmRights;
    store(control_, head);
    store(control_ + sizeof head, fd);
  }

  // The descriptor that came with a received message, -1 none.
  // Context: any
  int32_t fd() const {
    if (header_.controllen < sizeof(k::Cmsghdr) + sizeof(int32_t)) return -1;
    const auto head = load<k::Cmsghdr>(control_);
    if (head.level != k::kSolSocket || head.type != k::kScmRights) return -1;
    return load<int32_t>(control_ + sizeof head);
  }

 private:
  k::Iovec iov_;
  k::Msghdr header_{};
  alignas(8) uint8_t control_[sizeof(k::Cmsghdr) + 8]{};
};

// Receives at most n bytes of the next message, and the descriptor that it brings (close-on-exec), -1 none. The length,
// 0 at the end of the connection, or -errno, never EINTR. `flags`: of recvmsg.
// Context: any
long receive_with_fd(long socket, void* bytes, uint64_t n, uint32_t flags, int32_t& fd);

// Sends n bytes and a descriptor; -1: none. No SIGPIPE. The bytes sent, or -errno.
// Context: any
long send_with_fd(long socket, const void* bytes, uint64_t n, int32_t fd);

}  // namespace om::safe
