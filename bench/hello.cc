// SPDX-License-Identifier: Apache-2.0
//
// How long a node takes to answer another one. hello FROM ADDRESS NAME [IDENTITY] is node NAME at the address FROM,
// with IDENTITY, a directory of identity/credentials.h, under TLS. It answers each line of standard input with two
// numbers of microseconds: from the dial to the answer to the first hello, and the median of kHellos further ones. A
// node answers no more in a short time.
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "common/base/version.h"
#include "common/net/address.h"
#include "common/tls/tls_stream.h"
#include "migrator/peers/facts.h"
#include "migrator/peers/trust.h"

namespace {

constexpr int kHellos = 14;
constexpr auto kLimit = 10 * kj::SECONDS;

using SteadyClock = std::chrono::steady_clock;

double microseconds(SteadyClock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

struct Caller {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  om::Address from, address;
  om::migrator::NodeFacts facts;
  std::optional<om::TlsContext> tls;

  kj::Own<kj::AsyncIoStream> connect() {
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (::bind(fd, from.raw(), from.raw_size()) != 0 ||
        ::connect(fd, address.raw(), address.raw_size()) != 0 ||
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
      ::perror("hello");
      ::exit(1);
    }
    auto stream =
        io.lowLevelProvider->wrapSocketFd(fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
    if (!tls) return stream;
    return om::tls_connect(*tls, kj::mv(stream), std::nullopt,
                           io.provider->getTimer().afterDelay(kLimit))
        .wait(io.waitScope);
  }

  void hello(om::wire::Node::Client& node) {
    auto request = node.helloRequest();
    write_info(facts, request.initSelf());
    request.send().wait(io.waitScope);
  }

  void turn() {
    const auto begin = SteadyClock::now();
    auto stream = connect();
    capnp::TwoPartyClient client(*stream);
    auto node = client.bootstrap().castAs<om::wire::Node>();
    hello(node);
    const double first = microseconds(SteadyClock::now() - begin);
    std::array<double, kHellos> times;
    for (double& time : times) {
      const auto sent = SteadyClock::now();
      hello(node);
      time = microseconds(SteadyClock::now() - sent);
    }
    std::nth_element(times.begin(), times.begin() + kHellos / 2, times.end());
    ::printf("%.1f %.1f\n", first, times[kHellos / 2]);
    ::fflush(stdout);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) return 2;
  Caller caller;
  caller.from = om::Address::parse(argv[1]).value();
  caller.address = om::Address::parse(argv[2]).value();
  caller.facts = om::migrator::read_fixed_facts(argv[3]).value();
  if (argc == 5) caller.tls = om::migrator::Trust::read(argv[4], false)->tls();
  std::array<char, 64> line;
  while (::fgets(line.data(), line.size(), stdin) != nullptr) caller.turn();
  return 0;
}
