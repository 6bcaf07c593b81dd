// SPDX-License-Identifier: Apache-2.0
//
// The level 0 codec talks to stock Cap'n Proto, both ways, over a socket pair: a KJ client calls a small blocking
// server built on the codec, and a blocking client built on the codec calls a KJ server. Each blocking end and its KJ
// peer are two threads; what a server thread saw is checked after it has ended. One file above the usual size, because
// both directions share the channel.
#include <capnp/persistent.capnp.h>
#include <capnp/rpc-twoparty.h>
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <kj/async-io.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <functional>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/schema/executor.capnp.h"
#include "libom/safe/rpc_encode.h"
#include "libom/safe/rpc_parse.h"

namespace om::safe {
namespace {

constexpr size_t kSizes[] = {0, 1, 7, 8, 511, 4096, 8191, 65536, 200 * 1024};
constexpr uint32_t kNrFails = 999;

// The result of both executors of this test: depends on every parameter.
int64_t expected_result(uint32_t nr, uint64_t sequence, const std::string& ins, uint64_t a5) {
  return -static_cast<int64_t>(nr + sequence + ins.size() + a5);
}
std::string expected_outs(const std::string& ins) { return std::string(ins.rbegin(), ins.rend()); }
std::string pattern(size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<char>(i * 7 + (i >> 8) + seed);
  return bytes;
}

struct SocketPair {
  SocketPair() {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    codec = kj::AutoCloseFd(fds[0]);
    kj_end = kj::AutoCloseFd(fds[1]);
  }
  kj::AutoCloseFd codec;
  kj::AutoCloseFd kj_end;
};

// One message as seen by a reader with a small buffer: the payload may have bypassed the parser.
struct Received {
  long status;  // > 0: length; 0: end of stream; < 0: error
  RpcMessage message;
  std::vector<uint8_t> bytes;  // all of it, or the prefix
  std::string ins, outs, signals, reason;
  bool streamed;
};

class Channel {
 public:
  explicit Channel(int fd) : fd_(fd) {}

  Received receive() {
    Received r{0, {}, {}, {}, {}, {}, {}, false};
    long length;
    while ((length = frame_length(r.bytes.data(), r.bytes.size())) == kRpcAgain) {
      if (!grow(r, r.bytes.size() + 4)) return r;  // end of stream, or an error in r.status
    }
    r.status = length;
    if (length < 0) return r;
    const size_t size = static_cast<size_t>(length);
    if (!grow(r, size < kParsePrefixBytes ? size : kParsePrefixBytes)) return r;
    r.status = parse_message(r.bytes.data(), r.bytes.size(), &r.message);
    RpcBytes last = r.message.call.ins.size > 0 ? r.message.call.ins : r.message.ret.outs;
    if (r.status > 0 && r.bytes.size() < size && r.message.ret.signals.size == 0 &&
        last.offset + last.size + 8 > size) {
      stream(r, size, last);
      return r;
    }
    if (!grow(r, size)) return r;
    r.status = parse_message(r.bytes.data(), size, &r.message);
    r.ins = text(r, r.message.call.ins);
    r.outs = text(r, r.message.ret.outs);
    r.signals = text(r, r.message.ret.signals);
    r.reason = text(r, r.message.reason);
    return r;
  }

  // Sends an encoder's output in `head`, and the payload from where it is.
  void send(const void* head, long head_bytes, const std::string& payload = {}) {
    if (head_bytes < 0) throw std::runtime_error("message does not fit its buffer");
    const uint64_t zeros = 0;
    iovec io[3] = {{const_cast<void*>(head), static_cast<size_t>(head_bytes)},
                   {const_cast<char*>(payload.data()), payload.size()},
                   {const_cast<uint64_t*>(&zeros), padding(payload.size())}};
    for (iovec* next = io; next < io + 3;) {
      const ssize_t sent = writev(fd_, next, static_cast<int>(io + 3 - next));
      if (sent < 0) throw std::runtime_error(strerror(errno));
      size_t left = static_cast<size_t>(sent);
      while (next < io + 3 && left >= next->iov_len) left -= (next++)->iov_len;
      if (next == io + 3) break;
      next->iov_base = static_cast<char*>(next->iov_base) + left;
      next->iov_len -= left;
    }
  }

 private:
  bool read_all(void* to, size_t size, long* status) {
    char* at = static_cast<char*>(to);
    while (size > 0) {
      const ssize_t n = read(fd_, at, size);
      if (n <= 0) {
        *status = n < 0 ? -errno : 0;
        return false;
      }
      at += n;
      size -= static_cast<size_t>(n);
    }
    return true;
  }

  bool grow(Received& r, size_t size) {
    const size_t had = r.bytes.size();
    if (size <= had) return true;
    r.bytes.resize(size);
    return read_all(r.bytes.data() + had, size - had, &r.status);
  }

  // The payload ends the message and goes to a buffer of its own.
  void stream(Received& r, size_t size, RpcBytes run) {
    std::string all(run.size, '\0');
    const size_t present = r.bytes.size() > run.offset ? r.bytes.size() - run.offset : 0;
    memcpy(all.data(), r.bytes.data() + run.offset, present);
    char pad[16];
    const size_t before = run.offset > r.bytes.size() ? run.offset - r.bytes.size() : 0;
    if (before > sizeof pad || !read_all(pad, before, &r.status) ||
        !read_all(all.data() + present, run.size - present, &r.status) ||
        !read_all(pad, size - run.offset - run.size, &r.status)) {
      return;
    }
    r.streamed = true;
    (r.message.kind == RpcKind::kCall ? r.ins : r.outs) = all;
  }

  static std::string text(const Received& r, RpcBytes run) {
    const uint8_t* at = rpc_bytes(r.bytes.data(), r.bytes.size(), run);
    if (at == nullptr) throw std::runtime_error("bytes outside the message");
    return std::string(reinterpret_cast<const char*>(at), run.size);
  }

  int fd_;
};

struct Seen {
  std::set<uint32_t> bootstraps;  // questions not finished
  int calls = 0, pipelined = 0, finishes = 0, releases = 0, unimplemented = 0;
};

// A blocking level 0 server: one capability, number 0.
class BlockingServer {
 public:
  BlockingServer(int fd, Seen& seen) : channel_(fd), seen_(seen) {}

  void run() {
    for (;;) {
      Received r = channel_.receive();
      if (r.status == 0 || r.message.kind == RpcKind::kAbort) return;
      if (r.status < 0) throw std::runtime_error("receive: " + std::to_string(r.status));
      serve(r);
    }
  }

 private:
  void serve(const Received& r) {
    const RpcMessage& m = r.message;
    switch (m.kind) {
      case RpcKind::kBootstrap:
        seen_.bootstraps.insert(m.id);
        channel_.send(buffer_, encode_bootstrap_return(buffer_, sizeof buffer_, m.id));
        break;
      case RpcKind::kCall:
        call(r);
        break;
      case RpcKind::kFinish:
        seen_.bootstraps.erase(m.id);
        seen_.finishes++;
        break;
      case RpcKind::kRelease:
        seen_.releases++;
        break;
      case RpcKind::kReturn:
      case RpcKind::kUnimplemented:
        throw std::runtime_error("a server asked nothing");
      case RpcKind::kAbort:
      case RpcKind::kResolve:
      case RpcKind::kDisembargo:
      case RpcKind::kOther:
      default:
        seen_.unimplemented++;
        channel_.send(buffer_, encode_unimplemented(buffer_, sizeof buffer_, r.bytes.data(),
                                                    r.bytes.size(), m.tag));
        break;
    }
  }

  void call(const Received& r) {
    const RpcMessage& m = r.message;
    const bool pipelined = m.call.target == RpcTarget::kPromisedAnswer;
    const bool here = pipelined ? seen_.bootstraps.count(m.call.target_id) > 0
                                : m.call.target == RpcTarget::kImportedCap && m.call.target_id == 0;
    seen_.calls++;
    seen_.pipelined += pipelined;
    if (!here || !m.call.forward || !m.call.to_caller) {
      const std::string reason = here ? "no such method" : "no such target";
      channel_.send(buffer_,
                    encode_return_exception(buffer_, sizeof buffer_, m.id, RpcFault::kUnimplemented,
                                            reason.data(), reason.size()));
      return;
    }
    const ForwardParams& p = m.call.params;
    const SignalRecord records[2] = {};
    const uint32_t count = p.flags & kCallWaited ? 2 : 0;
    const ForwardResults results{expected_result(p.nr, p.sequence, r.ins, p.a[5]), kRetMore, count,
                                 p.sequence, p.ticket};
    const std::string outs = expected_outs(r.ins);
    channel_.send(buffer_,
                  encode_return(buffer_, sizeof buffer_, m.id, results, records,
                                count * sizeof(SignalRecord), outs.size()),
                  outs);
  }

  Channel channel_;
  Seen& seen_;
  uint8_t buffer_[1024];
};

// Runs a server until its peer closes; the peer's end must be closed before this is destroyed.
class ServerThread {
 public:
  ServerThread(kj::AutoCloseFd fd, std::function<void(kj::AutoCloseFd)> body)
      : thread_([this, body, owned = fd.release()] {
          try {
            body(kj::AutoCloseFd(owned));
          } catch (const std::exception& e) {
            error_ = e.what();
          } catch (const kj::Exception& e) {
            error_ = kj::str(e).cStr();
          }
        }) {}
  ~ServerThread() {
    if (thread_.joinable()) thread_.join();
  }
  std::string join() {
    thread_.join();
    return error_;
  }

 private:
  std::string error_;
  std::thread thread_;
};

using ForwardRequest = capnp::Request<Executor::ForwardParams, Executor::ForwardResults>;

ForwardRequest request(Executor::Client& executor, uint64_t sequence, const std::string& ins) {
  auto r = executor.forwardRequest();
  r.setNr(17);
  r.setFlags(sequence % 2 ? kCallWaited : 0);
  r.setSequence(sequence);
  r.setTicket(sequence + 1000);
  r.setA5(0xfeedfacecafe);
  r.setIns(capnp::Data::Reader(reinterpret_cast<const kj::byte*>(ins.data()), ins.size()));
  return r;
}

void check_response(capnp::Response<Executor::ForwardResults>& response, uint64_t sequence,
                    const std::string& ins) {
  const auto outs = response.getOuts();
  CHECK(response.getResult() == expected_result(17, sequence, ins, 0xfeedfacecafe));
  CHECK(response.getFlags() == kRetMore);
  CHECK(response.getSequence() == sequence);
  CHECK(response.getAux() == sequence + 1000);
  CHECK(response.getSignalCount() == (sequence % 2 ? 2 : 0));
  CHECK(response.getSignals().size() == response.getSignalCount() * sizeof(SignalRecord));
  CHECK(std::string(reinterpret_cast<const char*>(outs.begin()), outs.size()) ==
        expected_outs(ins));
}

// Destructors of KJ's interfaces are not virtual on purpose: owners keep their own disposer.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#ifndef __clang__  // gcc with a sanitizer does not see through kj::Maybe
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

class StockExecutor final : public Executor::Server {
 protected:
  kj::Promise<void> forward(ForwardContext context) override {
    auto p = context.getParams();
    KJ_REQUIRE(p.getNr() != kNrFails, "refused by the test");
    const std::string ins(reinterpret_cast<const char*>(p.getIns().begin()), p.getIns().size());
    const std::string outs = expected_outs(ins);
    auto r = context.getResults();
    r.setResult(expected_result(p.getNr(), p.getSequence(), ins, p.getA5()));
    r.setFlags(p.getEpoch());
    r.setSequence(p.getSequence());
    r.setAux(p.getThread() + p.getTicket());
    r.setOuts(capnp::Data::Reader(reinterpret_cast<const kj::byte*>(outs.data()), outs.size()));
    return kj::READY_NOW;
  }
};

// `promised`: the bootstrap capability is still a promise when it is handed out.
class StockFactory final : public capnp::BootstrapFactory<capnp::rpc::twoparty::VatId> {
 public:
  explicit StockFactory(bool promised) : promised_(promised) {}
  capnp::Capability::Client createFor(capnp::rpc::twoparty::VatId::Reader) override {
    if (!promised_) return kj::heap<StockExecutor>();
    return Executor::Client(
        kj::evalLater([]() -> Executor::Client { return kj::heap<StockExecutor>(); }));
  }

 private:
  bool promised_;
};

void serve_stock(kj::AutoCloseFd fd, bool promised) {
  auto io = kj::setupAsyncIo();
  auto stream = io.lowLevelProvider->wrapSocketFd(kj::mv(fd));
  StockFactory factory(promised);
  capnp::TwoPartyVatNetwork network(*stream, capnp::rpc::twoparty::Side::SERVER);
  auto system = capnp::makeRpcServer(network, factory);
  network.onDisconnect().wait(io.waitScope);
}

// Receives the Return of `question`; answers a Resolve in between as level 0 does.
Received wait_return(Channel& channel, uint32_t question, int* resolves) {
  for (;;) {
    Received r = channel.receive();
    REQUIRE(r.status > 0);
    if (r.message.kind == RpcKind::kReturn) {
      REQUIRE(r.message.id == question);
      return r;
    }
    REQUIRE(r.message.kind == RpcKind::kResolve);
    ++*resolves;
    uint8_t buffer[512];
    channel.send(buffer, encode_unimplemented(buffer, sizeof buffer, r.bytes.data(), r.bytes.size(),
                                              r.message.tag));
  }
}

RpcCallHead call_head(uint32_t question, RpcTarget target, uint32_t target_id, uint64_t sequence) {
  return RpcCallHead{
      question, target_id, target, {23, 0, 3, 4, sequence, 50, {1, 2, 3, 4, 5, sequence}}};
}

void check_results(const Received& r, uint64_t sequence, const std::string& ins) {
  REQUIRE(r.message.ret.answer == RpcAnswer::kResults);
  CHECK(r.message.ret.results.result == expected_result(23, sequence, ins, sequence));
  CHECK(r.message.ret.results.flags == 3);
  CHECK(r.message.ret.results.sequence == sequence);
  CHECK(r.message.ret.results.aux == 54);
  CHECK(r.outs == expected_outs(ins));
}

}  // namespace

TEST_CASE("a stock client calls a server made of the codec") {
  SocketPair pair;
  Seen seen;
  ServerThread server(kj::mv(pair.codec),
                      [&](kj::AutoCloseFd fd) { BlockingServer(fd.get(), seen).run(); });
  uint64_t sequence = 0;
  {
    auto io = kj::setupAsyncIo();
    auto stream = io.lowLevelProvider->wrapSocketFd(kj::mv(pair.kj_end));
    capnp::TwoPartyClient client(*stream);
    auto executor = client.bootstrap().castAs<Executor>();

    // All of these are sent before the Bootstrap's Return is read: they are pipelined.
    std::vector<kj::Promise<capnp::Response<Executor::ForwardResults>>> early;
    std::vector<std::string> sent;
    for (size_t size : kSizes) {
      sent.push_back(pattern(size, static_cast<unsigned>(sequence)));
      early.push_back(request(executor, sequence++, sent.back()).send());
    }
    for (size_t i = 0; i < sent.size(); i++) {
      auto response = early[i].wait(io.waitScope);
      check_response(response, i, sent[i]);
    }
    for (size_t size : kSizes) {
      const std::string ins = pattern(size, static_cast<unsigned>(sequence));
      auto response = request(executor, sequence, ins).send().wait(io.waitScope);
      check_response(response, sequence++, ins);
    }

    auto other = executor.castAs<capnp::Persistent<capnp::Text, capnp::AnyPointer>>();
    bool refused = false;
    auto save = other.saveRequest().send().then(
        [](auto&&) {},
        [&](kj::Exception&& e) {
          refused = e.getType() == kj::Exception::Type::UNIMPLEMENTED &&
                    strstr(e.getDescription().cStr(), "no such method") != nullptr;
        });
    save.wait(io.waitScope);
    CHECK(refused);

    // Dropped references are released; a second bootstrap on the same connection works.
    other = nullptr;
    executor = client.bootstrap().castAs<Executor>();
    auto response = request(executor, sequence, "again").send().wait(io.waitScope);
    check_response(response, sequence++, "again");
  }
  CHECK(server.join() == "");
  CHECK(seen.calls == static_cast<int>(sequence) + 1);
  CHECK(seen.pipelined >= static_cast<int>(std::size(kSizes)));
  CHECK(seen.pipelined < seen.calls);
  CHECK(seen.finishes >= seen.calls);
  CHECK(seen.releases >= 1);
  CHECK(seen.unimplemented == 0);
}

TEST_CASE("a client made of the codec calls a stock server") {
  for (bool promised : {false, true}) {
    CAPTURE(promised);
    SocketPair pair;
    ServerThread server(kj::mv(pair.kj_end),
                        [promised](kj::AutoCloseFd fd) { serve_stock(kj::mv(fd), promised); });
    kj::AutoCloseFd fd = kj::mv(pair.codec);
    Channel channel(fd.get());
    uint8_t buffer[1024];
    int resolves = 0, streamed = 0;

    // Bootstrap and a first pipelined Call are sent in one write.
    const std::string early = pattern(300, 9);
    long used = encode_bootstrap(buffer, sizeof buffer, 0);
    REQUIRE(used > 0);
    used += encode_call(buffer + used, sizeof buffer - static_cast<size_t>(used),
                        call_head(1, RpcTarget::kPromisedAnswer, 0, 1), early.size());
    channel.send(buffer, used, early);
    Received boot = wait_return(channel, 0, &resolves);
    REQUIRE(boot.message.ret.error == 0);
    CHECK(boot.message.ret.cap == (promised ? RpcCap::kSenderPromise : RpcCap::kSenderHosted));
    const uint32_t cap = boot.message.ret.cap_id;
    check_results(wait_return(channel, 1, &resolves), 1, early);
    channel.send(buffer, encode_finish(buffer, sizeof buffer, 0));

    // As in the gate: the Finish of the last question and the next Call in one write.
    uint32_t question = 2;
    for (int round = 0; round < 20; round++) {
      for (size_t size : kSizes) {
        const std::string ins = pattern(size, question);
        used = encode_finish(buffer, sizeof buffer, question - 1);
        used +=
            encode_call(buffer + used, sizeof buffer - static_cast<size_t>(used),
                        call_head(question, RpcTarget::kImportedCap, cap, question), ins.size());
        channel.send(buffer, used, ins);
        const Received r = wait_return(channel, question, &resolves);
        check_results(r, question, ins);
        streamed += r.streamed;
        question++;
      }
    }

    // A server's exception becomes EREMOTEIO with its text.
    RpcCallHead failing = call_head(question, RpcTarget::kImportedCap, cap, question);
    failing.params.nr = kNrFails;
    channel.send(buffer, encode_call(buffer, sizeof buffer, failing, 0));
    Received r = wait_return(channel, question++, &resolves);
    CHECK(r.message.ret.answer == RpcAnswer::kException);
    CHECK(r.message.ret.error == -EREMOTEIO);
    CHECK(r.message.fault == RpcFault::kFailed);
    CHECK(r.reason.find("refused by the test") != std::string::npos);

    CHECK(resolves == (promised ? 1 : 0));
    CHECK(streamed >= 20);
    fd = nullptr;
    CHECK(server.join() == "");
  }
}

TEST_CASE("a server made of the codec answers what level 0 does not know as unimplemented") {
  SocketPair pair;
  Seen seen;
  ServerThread server(kj::mv(pair.codec),
                      [&](kj::AutoCloseFd fd) { BlockingServer(fd.get(), seen).run(); });
  kj::AutoCloseFd fd = kj::mv(pair.kj_end);
  {
    capnp::MallocMessageBuilder builder;
    auto disembargo = builder.initRoot<capnp::rpc::Message>().initDisembargo();
    disembargo.initTarget().setImportedCap(0);
    disembargo.getContext().setSenderLoopback(99);
    capnp::writeMessageToFd(fd.get(), builder);
    capnp::StreamFdMessageReader answer(fd.get());
    auto message = answer.getRoot<capnp::rpc::Message>();
    REQUIRE(message.isUnimplemented());
    REQUIRE(message.getUnimplemented().isDisembargo());
    CHECK(message.getUnimplemented().getDisembargo().getContext().getSenderLoopback() == 99);
    CHECK(message.getUnimplemented().getDisembargo().getTarget().isImportedCap());
  }
  {
    Channel channel(fd.get());  // a capability that was never handed out
    uint8_t buffer[512];
    channel.send(
        buffer, encode_call(buffer, sizeof buffer, call_head(4, RpcTarget::kImportedCap, 7, 1), 0));
    const Received r = channel.receive();
    CHECK(r.message.id == 4);
    CHECK(r.message.ret.error == -EREMOTEIO);
    CHECK(r.reason == "no such target");
  }
  fd = nullptr;
  CHECK(server.join() == "");
  CHECK(seen.unimplemented == 1);
}

}  // namespace om::safe
