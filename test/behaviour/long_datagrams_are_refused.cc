// SPDX-License-Identifier: Apache-2.0
//
// A datagram is sent by one call or not at all: 40 MiB are EMSGSIZE and nothing arrives. A buffer of 40 MiB
// receives one datagram, and a vector of more messages than any implementation has room for is sent in order.
#include "test/lib/om_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

constexpr size_t kBytes = 40 << 20;
constexpr unsigned kMany = 200;

int main() {
  int ends[2], packets[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  OM_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets));
  auto* data = static_cast<char*>(calloc(1, kBytes));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(recv(ends[1], data, kBytes, MSG_DONTWAIT), EAGAIN);
  OM_CHECK_EQ(send(ends[0], "one", 3, 0), 3);
  OM_CHECK_EQ(recv(ends[1], data, kBytes, 0), 3);
  OM_CHECK_EQ(send(ends[0], "two", 3, 0), 3);
  iovec all = {data, kBytes};
  msghdr message{};
  message.msg_iov = &all;
  message.msg_iovlen = 1;
  OM_CHECK_EQ(recvmsg(ends[1], &message, 0), 3);

  // A fast peer empties the queue from a thread, so that no sender waits for ever.
  OmThread reader([&] {
    for (unsigned i = 0; i < kMany; ++i) {
      unsigned number = 0;
      OM_CHECK_EQ(recv(packets[1], &number, sizeof number, 0), sizeof number);
      OM_CHECK_EQ(number, i);
    }
  });
  unsigned numbers[kMany];
  iovec parts[kMany];
  mmsghdr messages[kMany] = {};
  for (unsigned i = 0; i < kMany; ++i) {
    numbers[i] = i;
    parts[i] = {&numbers[i], sizeof numbers[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  unsigned sent = 0;
  while (sent < kMany)
    sent += static_cast<unsigned>(OM_SYS(sendmmsg(packets[0], messages + sent, kMany - sent, 0)));
  reader.join();
  for (unsigned i = 0; i < kMany; ++i) OM_CHECK_EQ(messages[i].msg_len, sizeof numbers[i]);

  OM_CHECK_ERRNO(send(ends[0], data, kBytes, MSG_DONTWAIT), EMSGSIZE);
  OM_CHECK_ERRNO(sendmsg(ends[0], &message, MSG_DONTWAIT), EMSGSIZE);
  OM_CHECK_ERRNO(write(packets[0], data, kBytes), EMSGSIZE);
  OM_CHECK_ERRNO(recv(ends[1], data, 10, MSG_DONTWAIT), EAGAIN);
  OM_CHECK_ERRNO(recv(packets[1], data, 10, MSG_DONTWAIT), EAGAIN);
}
