// SPDX-License-Identifier: Apache-2.0
//
// See unix_fd.h.
#include "libom/safe/unix_fd.h"

#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::safe {

// Context: any
long receive_with_fd(long socket, void* bytes, uint64_t n, uint32_t flags, int32_t& fd) {
  FdMessage message(bytes, n);
  long r;
  do {
    r = sys(kNr_recvmsg, socket, message.header(), k::kMsgCmsgCloexec | flags);
  } while (r == -k::kEINTR);
  fd = r > 0 ? message.fd() : -1;
  return r;
}

// Context: any
long send_with_fd(long socket, const void* bytes, uint64_t n, int32_t fd) {
  FdMessage message(const_cast<void*>(bytes), n);
  message.attach(fd);
  return sys(kNr_sendmsg, socket, message.header(), k::kMsgNosignal);
}

}  // namespace om::safe
