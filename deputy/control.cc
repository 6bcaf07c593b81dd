// SPDX-License-Identifier: Apache-2.0
#include "deputy/control.h"

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"

namespace om::deputy {

namespace {

constexpr auto kAttachPause = 300 * kj::MILLISECONDS;
constexpr auto kAttachLimit = 10 * kj::SECONDS;
constexpr size_t kMaxAnswer = 4096;  // of the control socket

capnp::ReaderOptions reader_options() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = wire::MAX_MESSAGE_WORDS;
  return options;
}

// What follows the line is the daemon's first message.
kj::Promise<void> read_line(kj::AsyncIoStream& stream, std::string& line) {
  auto byte = kj::heap<char>();
  auto reading = stream.read(byte.get(), 1);
  return reading.then([&stream, &line, byte = kj::mv(byte)]() -> kj::Promise<void> {
    if (*byte == '\n') return kj::READY_NOW;
    line += *byte;
    KJ_REQUIRE(line.size() < kMaxAnswer, "no answer");
    return read_line(stream, line);
  });
}

}  // namespace

// Destruction order matters: the RPC system uses the network, which uses the stream.
struct Control::Connection {
  Connection(kj::Own<kj::AsyncIoStream> given, wire::Deputy::Client deputy)
      : stream(kj::mv(given)),
        network(*stream, capnp::rpc::twoparty::Side::SERVER, reader_options()),
        rpc(capnp::makeRpcServer(network, kj::mv(deputy))) {
    capnp::MallocMessageBuilder message;
    auto peer = message.initRoot<capnp::rpc::twoparty::VatId>();
    peer.setSide(capnp::rpc::twoparty::Side::CLIENT);
    daemon = rpc.bootstrap(peer).castAs<wire::Daemon>();
  }
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Daemon::Client daemon = nullptr;
};

Control::Control(kj::AsyncIoContext& io, int fd, CommandQueue& commands, Notice& news,
                 Attaching attaching)
    : io_(io), commands_(commands), news_(news), attaching_(std::move(attaching)) {
  begin(io.lowLevelProvider->wrapSocketFd(kj::AutoCloseFd(fd)));
}

Control::~Control() noexcept(false) = default;

void Control::begin(kj::Own<kj::AsyncIoStream> stream) {
  connection_ = kj::heap<Connection>(kj::mv(stream), commands_.capability());
  ended_ = false;
  tasks_.add(connection_->network.onDisconnect().then([this] { lose(); }));
}

wire::Daemon::Client* Control::daemon() { return ended_ ? nullptr : &connection_->daemon; }

void Control::lose() {
  ended_ = true;
  news_.happened();
  if (!attaching_.path.empty()) tasks_.add(attach_again());
}

// Tries until a daemon has taken us.
kj::Promise<void> Control::attach_again() {
  return io_.provider->getTimer().afterDelay(kAttachPause).then([this]() -> kj::Promise<void> {
    if (!attaching_.wanted()) return attach_again();
    return io_.provider->getTimer()
        .timeoutAfter(kAttachLimit, attach())
        .catch_([this](kj::Exception&& e) {
          log_debug("control", "no om-migrator at {} takes us: {}", attaching_.path,
                    e.getDescription().cStr());
          return attach_again();
        });
  });
}

kj::Promise<void> Control::attach() {
  struct Try {
    kj::Own<kj::NetworkAddress> address;
    kj::Own<kj::AsyncIoStream> stream;
    std::string request, answer;
  };
  auto attempt = kj::heap<Try>();
  Try& t = *attempt;
  t.request = to_json_line(attaching_.request);
  return io_.provider->getNetwork()
      .parseAddress(kj::str("unix:", attaching_.path.c_str()))
      .then([&t](kj::Own<kj::NetworkAddress>&& address) {
        t.address = kj::mv(address);
        return t.address->connect();
      })
      .then([&t](kj::Own<kj::AsyncIoStream>&& stream) {
        t.stream = kj::mv(stream);
        return t.stream->write(t.request.data(), t.request.size());
      })
      .then([&t] { return read_line(*t.stream, t.answer); })
      .then([this, &t] {
        const auto answer = parse_json_line(t.answer);
        KJ_REQUIRE(answer.ok() && json_bool_or(*answer, "ok", false).value_or(false),
                   "not accepted");
        begin(kj::mv(t.stream));
        log_info("control", "a new om-migrator at {}", attaching_.path);
        attaching_.attached();
        news_.happened();
      })
      .attach(kj::mv(attempt));
}

void Control::tell(kj::Promise<void> call) {
  tasks_.add(call.catch_([](kj::Exception&& exception) {
    log_debug("control", "{}",
              exception.getDescription().cStr());  // a lost connection is noticed anyway
  }));
}

kj::Promise<void> Control::leave() {
  if (ended_) return kj::READY_NOW;
  // Last: the answer to the last command may still have to be sent.
  return kj::evalLast([this] { return connection_->daemon.leaveRequest().send().ignoreResult(); });
}

void Control::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("control", "{}", exception.getDescription().cStr());
}

}  // namespace om::deputy
