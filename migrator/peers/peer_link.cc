// SPDX-License-Identifier: Apache-2.0
// gcc 12 takes the value in a promise that is there already for one that may not have been made. It says so in the
// library's headers, so this comes before them.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "migrator/peers/peer_link.h"

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>
#include <stdlib.h>

#include <algorithm>
#include <random>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/movable/verdict.h"
#include "common/net/control.h"
#include "migrator/peers/cluster_wire.h"
#include "migrator/peers/node_service.h"
#include "migrator/peers/open_calls.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

double random_unit() {
  static std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

// The peer calls on a connection of its own; here there is nothing that it could ask for.
constexpr size_t kMaxOpenCalls = 0;

}  // namespace

Milliseconds reconnect_pause(uint32_t failures, double jitter) {
  constexpr double kFirstMs = 100;
  constexpr double kLastMs = 5000;
  double pause = kFirstMs;
  for (uint32_t i = 1; i < failures && pause < kLastMs; ++i) pause *= 2;
  return Milliseconds(static_cast<int64_t>(std::min(pause, kLastMs) * (0.75 + 0.5 * jitter)));
}

// The order matters for destruction: the RPC system uses the network, which uses the stream.
struct PeerLink::Connection {
  explicit Connection(kj::Own<kj::AsyncIoStream> given)
      : stream(kj::mv(given)),
        messages(*stream, kMaxOpenCalls),
        network(messages, capnp::rpc::twoparty::Side::CLIENT, peer_reader_options()),
        rpc(capnp::makeRpcClient(network)),
        node(nullptr) {
    capnp::MallocMessageBuilder message;
    auto host = message.initRoot<capnp::rpc::twoparty::VatId>();
    host.setSide(capnp::rpc::twoparty::Side::SERVER);
    node = rpc.bootstrap(host).castAs<wire::Node>();
  }
  kj::Own<kj::AsyncIoStream> stream;
  OpenCalls messages;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Node::Client node;
};

PeerLink::PeerLink(UvKj& kj, Peer peer, const Local& local)
    : kj_(kj), peer_(std::move(peer)), local_(local), running_(nullptr) {
  start();
}

PeerLink::~PeerLink() = default;

void PeerLink::start() {
  running_ =
      kj::evalLater([this] { return run(); }).eagerlyEvaluate([this](kj::Exception&& exception) {
        log_error("peer", "{}: {}, giving up", peer_.name, text_of(exception));
      });
}

void PeerLink::redial() {
  running_ = nullptr;
  connection_ = nullptr;
  nudge_ = nullptr;
  failures_ = 0;
  if (up_) set_down("this node is now a member of another cluster, or of none");
  start();
}

kj::Promise<void> PeerLink::run() {
  return talk()
      .catch_([this](kj::Exception&& exception) { on_failure(exception); })
      .then([this] { return pause(); })
      .then([this] { return run(); });
}

// In plain text a node is recognised by its address. Under TLS the kernel chooses one, but on a machine with several
// nodes, where each has a loopback address of its own and others bound what comes from one.
kj::Promise<kj::Own<kj::AsyncIoStream>> PeerLink::dial() {
  auto tls = local_.tls ? local_.tls() : std::nullopt;
  encrypted_ = tls.has_value();
  certificate_.reset();
  const bool bound = !tls || (local_.from.is_loopback() && peer_.address.is_loopback());
  auto connected = with_limit(kj_, kHelloLimit, "connecting",
                              connect_tcp(kj_, bound ? local_.from : Address(), peer_.address));
  if (!tls) return connected;
  return connected.then([this, tls = std::move(*tls)](kj::Own<kj::AsyncIoStream> stream) {
    return tls_connect(tls, kj::mv(stream), peer_.name, kj_.after(kHelloLimit))
        .then([this](kj::Own<TlsStream> secured) -> kj::Own<kj::AsyncIoStream> {
          meet(*secured);
          return kj::mv(secured);
        });
  });
}

// Throws if the cluster has removed the peer.
void PeerLink::meet(const TlsStream& stream) {
  certificate_ = stream.session().peer();
  if (local_.desk == nullptr || !certificate_ || !local_.desk->denies(certificate_->id)) return;
  certificate_.reset();
  kj::throwFatalException(KJ_EXCEPTION(FAILED, "it was removed from the cluster"));
}

// Members talk about the cluster as well.
kj::Promise<void> PeerLink::tell_news() {
  if (local_.desk == nullptr || !certificate_) return kj::READY_NOW;
  return exchange_news(kj_, connection_->node.castAs<wire::Member>(), local_.desk->news())
      .then([this](ClusterNews news) {
        local_.desk->heard(*certificate_, news, peer_.address);
        local_.desk->compare(peer_.name, news);
      });
}

std::optional<wire::Member::Client> PeerLink::member() {
  if (!up_ || !certificate_ || connection_.get() == nullptr) return std::nullopt;
  return connection_->node.castAs<wire::Member>();
}

// Completes only with an exception.
kj::Promise<void> PeerLink::talk() {
  return dial().then([this](kj::Own<kj::AsyncIoStream> stream) {
    connection_ = kj::heap<Connection>(kj::mv(stream));
    return say_hello();
  });
}

kj::Promise<void> PeerLink::say_hello() {
  auto request = connection_->node.helloRequest();
  write_info(local_.facts(), request.initSelf());
  MonotonicTime sent = std::chrono::steady_clock::now();
  kj::Promise<capnp::Response<wire::Node::HelloResults>> reply = request.send();
  return with_limit(kj_, kHelloLimit, "hello", kj::mv(reply))
      .then([this, sent](capnp::Response<wire::Node::HelloResults> response) {
        NodeFacts facts = value_of(read_info(response.getPeer()));
        if (facts.name != peer_.name) {
          kj::throwFatalException(
              KJ_EXCEPTION(FAILED, kj::str("calls itself ", facts.name.c_str())));
        }
        auto refusal = refuse_protocol(local_.facts().protocol, facts.protocol);
        if (refusal)
          kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str(refusal->message().c_str())));
        auto elapsed = std::chrono::steady_clock::now() - sent;
        rtt_us_ = static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
        facts_ = std::move(facts);
        failures_ = 0;
        if (!std::exchange(up_, true)) {
          reason_.clear();
          local_.on_change(peer_.name, true, "");
        }
        return tell_news();
      })
      .then([this] { return kj_.after(kHelloPeriod); })
      .then([this] { return say_hello(); });
}

kj::Promise<void> PeerLink::pause() {
  connection_ = nullptr;
  auto pair = kj::newPromiseAndFulfiller<void>();
  nudge_ = kj::mv(pair.fulfiller);
  return kj_.after(reconnect_pause(++failures_, random_unit()))
      .exclusiveJoin(kj::mv(pair.promise))
      .then([this] { nudge_ = nullptr; });
}

// What TLS says is put into words, and counts as a refusal.
void PeerLink::on_failure(const kj::Exception& exception) {
  const std::string text = text_of(exception);
  if (!text.starts_with("TLS: ")) return set_down(text);
  const Refusal why = explain_failure(text);
  if (local_.on_refusal) local_.on_refusal(why, peer_.name);
  set_down(why.text);
}

void PeerLink::nudge() {
  if (nudge_.get() != nullptr) nudge_->fulfill();
}

void PeerLink::set_down(const std::string& reason) {
  bool was_up = std::exchange(up_, false);
  bool news = was_up || reason != reason_;
  reason_ = reason;
  if (news) local_.on_change(peer_.name, false, reason);
}

kj::Promise<std::optional<Reason>> PeerLink::admit(const Offer& offer) {
  using Answer = std::optional<Reason>;
  std::string name = peer_.name;
  if (!up_ || connection_.get() == nullptr) {
    return Answer(
        refuse(ReasonCode::kTargetUnreachable, "node {} is not reachable: {}", name, reason_));
  }
  auto request = connection_->node.admitRequest();
  write_offer(offer, request.initOffer());
  kj::Promise<capnp::Response<wire::Node::AdmitResults>> reply = request.send();
  return with_limit(kj_, kAdmitLimit, "admit", kj::mv(reply))
      .then(
          [name](capnp::Response<wire::Node::AdmitResults> response) -> Answer {
            auto outcome = response.getOutcome();
            if (outcome.isOk()) return std::nullopt;
            if (!outcome.isRefused())
              return refuse(ReasonCode::kVersion, "node {} gave no verdict", name);
            auto code = read_wire_text(outcome.getRefused().getCode(), 64, "code");
            auto detail = read_wire_text(outcome.getRefused().getDetail(), 1000, "detail");
            if (!code || !is_code(*code) || !detail)
              return refuse(ReasonCode::kVersion, "node {} refused without a reason", name);
            return Reason::from_peer(*code, std::move(*detail));
          },
          [name](kj::Exception&& exception) -> Answer {
            return refuse(ReasonCode::kTargetUnreachable, "node {} did not answer: {}", name,
                          text_of(exception));
          });
}

}  // namespace om::migrator
