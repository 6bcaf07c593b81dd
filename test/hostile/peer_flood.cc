// SPDX-License-Identifier: Apache-2.0
//
// A peer that calls and never reads: peer_flood FROM TO PORT COUNT sends a Bootstrap and COUNT valid hello() calls
// from the address FROM, as fast as they are taken. Prints how many bytes were taken when the other end has not taken
// any for a second, or all; then it waits until standard input ends.
#include <arpa/inet.h>
#include <capnp/message.h>
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "common/base/version.h"
#include "common/schema/node.capnp.h"

namespace {

constexpr int kPatienceMs = 1000;

std::string flat(capnp::MessageBuilder& message) {
  auto words = capnp::messageToFlatArray(message);
  auto bytes = words.asBytes();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

std::string bootstrap() {
  capnp::MallocMessageBuilder message;
  message.initRoot<capnp::rpc::Message>().initBootstrap().setQuestionId(0);
  return flat(message);
}

std::string hello(uint32_t question) {
  capnp::MallocMessageBuilder message;
  auto call = message.initRoot<capnp::rpc::Message>().initCall();
  call.setQuestionId(question);
  call.initTarget().initPromisedAnswer().setQuestionId(0);
  call.setInterfaceId(capnp::typeId<om::wire::Node>());
  call.setMethodId(0);
  auto self = call.initParams().getContent().initAs<om::wire::Node::HelloParams>().initSelf();
  self.setName("n3");
  self.setProtocol(om::kProtocol);
  return flat(message);
}

sockaddr_in address(const char* host, int port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, host, &a.sin_addr);
  return a;
}

// Bytes that were taken.
size_t send_some(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      done += static_cast<size_t>(n);
      continue;
    }
    pollfd writable{fd, POLLOUT, 0};
    if (poll(&writable, 1, kPatienceMs) <= 0 || (writable.revents & (POLLERR | POLLHUP)) != 0)
      break;
  }
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in from = address(argv[1], 0), to = address(argv[2], atoi(argv[3]));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0 ||
      connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    perror("connect");
    return 99;
  }
  std::string text = bootstrap();
  size_t taken = 0;
  const long count = atol(argv[4]);
  for (long i = 1; i <= count; i++) {
    text += hello(static_cast<uint32_t>(i));
    if (text.size() < 60000 && i < count) continue;
    const size_t n = send_some(fd, text);
    taken += n;
    if (n < text.size()) break;
    text.clear();
  }
  printf("%zu\n", taken);
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}
