// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what a program at home sends on the deputy socket (deputy/home/home_socket.h), with and without
// descriptors. Records: a byte with the length of the message and whether a descriptor is attached, then the message.
#include "deputy/home/home_socket.h"

#include <string.h>
#include <sys/socket.h>

#include "common/net/preamble.h"
#include "test/fuzz/fuzz.h"

using namespace om;
using om::fuzz::require;

namespace {

void send_message(int socket, std::string_view bytes, int attached) {
  iovec iov{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr h{};
  h.msg_iov = &iov;
  h.msg_iovlen = 1;
  if (attached >= 0) {
    h.msg_control = control;
    h.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof attached);
    memcpy(CMSG_DATA(c), &attached, sizeof attached);
  }
  static_cast<void>(sendmsg(socket, &h, MSG_NOSIGNAL | MSG_DONTWAIT));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int session[2], answer[2], channel[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, session) != 0 ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, answer) != 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0)
    return 0;
  UniqueFd home(session[0]), ours(answer[0]), theirs(answer[1]), body(channel[1]);
  constexpr uint8_t kSession[16] = {'s', 'e', 's', 's', 'i', 'o', 'n'};
  UniqueFd only(channel[0]);
  deputy::HomeSocket socket(kSession, kFirstMember, [&only](uint32_t) {
    return ChannelEnd{std::move(only), {}};
  });
  socket.connect(UniqueFd(session[1]));
  size_t sent = 0;
  fuzz::Bytes in(data, size);
  std::string_view rest = in.rest_text();
  while (!rest.empty() && sent < 32) {
    const auto first = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    const std::string_view message = rest.substr(0, first & 0x7f);
    rest.remove_prefix(message.size());
    if (message.empty()) continue;  // means the end of the connection on this kind of socket
    send_message(home.get(), message, (first & 0x80) != 0 ? theirs.get() : -1);
    sent++;
  }
  socket.pump();
  require(!socket.has_ended());
  size_t messages = 0;
  while (socket.next()) messages++;
  require(messages <= sent);
  return 0;
}
