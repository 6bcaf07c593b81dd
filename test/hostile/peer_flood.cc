// SPDX-License-Identifier: Apache-2.0
//
// A peer that calls and never reads: peer_flood FROM TO PORT COUNT IDENTITY sends a Bootstrap and COUNT valid hello()
// calls from the address FROM, as the member whose files are in IDENTITY, as fast as they are taken. Prints how many
// bytes were taken when the other end has not taken any for a second, or all; then it waits until standard input ends.
#include <arpa/inet.h>
#include <capnp/message.h>
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "common/base/version.h"
#include "common/schema/node.capnp.h"
#include "common/tls/tls_context.h"
#include "migrator/identity/credentials.h"

namespace {

constexpr timeval kPatience{1, 0};

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

// A blocking TLS connection; nullptr if it cannot be made.
SSL* begin_tls(int fd, const char* identity) {
  const auto own = om::OwnDirectory::open(identity);
  auto member = om::migrator::Credentials::open(own.value()).value();
  const auto context = om::TlsContext::member(member->tls()).value();
  SSL* ssl = SSL_new(context.raw());
  SSL_set_fd(ssl, fd);
  return SSL_connect(ssl) == 1 ? ssl : nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  signal(SIGPIPE, SIG_IGN);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in from = address(argv[1], 0), to = address(argv[2], atoi(argv[3]));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0 ||
      connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    perror("connect");
    return 99;
  }
  SSL* ssl = begin_tls(fd, argv[5]);
  if (ssl == nullptr) return 99;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  std::string text = bootstrap();
  size_t taken = 0;
  const long count = atol(argv[4]);
  for (long i = 1; i <= count; i++) {
    text += hello(static_cast<uint32_t>(i));
    if (text.size() < 60000 && i < count) continue;
    // In records of 16 KiB, each whole or not at all.
    if (SSL_write(ssl, text.data(), static_cast<int>(text.size())) <= 0) break;
    taken += text.size();
    text.clear();
  }
  printf("%zu\n", taken);
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}
