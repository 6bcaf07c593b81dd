// SPDX-License-Identifier: Apache-2.0
//
// Messages with a descriptor on unix sockets: the socket to the deputy, the one to the keeper. One descriptor a
// message; batches of channels (libom/stub/remote.cc) are read by hand. Freestanding; checked by
// test/unit/libom/unix_fd_test.cc.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/kernel.h"
#include "libom/safe/mem.h"

namespace om::safe {

// What recvmsg and sendmsg are given, for those who make the call in a way of their own. Points into itself. One that
// has received is used up.
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

  // To be sent along; -1: none.
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

  // What came with a message that has been received, -1 none.
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

// The next message, of which at most n bytes are wanted, and the descriptor that it brings (close-on-exec), -1 none.
// Its length, 0 at the end of the connection, or -errno; EINTR is not seen. `flags` of recvmsg.
// Context: any
long receive_with_fd(long socket, void* bytes, uint64_t n, uint32_t flags, int32_t& fd);

// Sends n bytes and a descriptor; -1: none. No SIGPIPE. The bytes sent, or -errno.
// Context: any
long send_with_fd(long socket, const void* bytes, uint64_t n, int32_t fd);

}  // namespace om::safe
