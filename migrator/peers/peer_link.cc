// SPDX-License-Identifier: Apache-2.0
// gcc 12 takes the value in a promise that is there already for one that may not have been made. It says so in the
// library's headers, so this comes before them.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "migrator/peers/peer_link.h"

#include <kj/debug.h>
#include <stdlib.h>

#include <algorithm>
#include <random>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/movable/verdict.h"
#include "common/net/control.h"
#include "migrator/peers/cluster_wire.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

double random_unit() {
  static std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

using Answer = std::optional<Reason>;

kj::Promise<Answer> offer_to(UvKj& kj, wire::Node::Client node, const std::string& name,
                             const Offer& offer) {
  auto request = node.admitRequest();
  write_offer(offer, request.initOffer());
  kj::Promise<capnp::Response<wire::Node::AdmitResults>> reply = request.send();
  return with_limit(kj, PeerLink::kAdmitLimit, "admit", kj::mv(reply))
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

}  // namespace

Milliseconds reconnect_pause(uint32_t failures, double jitter) {
  constexpr double kFirstMs = 100;
  constexpr double kLastMs = 5000;
  double pause = kFirstMs;
  for (uint32_t i = 1; i < failures && pause < kLastMs; ++i) pause *= 2;
  return Milliseconds(static_cast<int64_t>(std::min(pause, kLastMs) * (0.75 + 0.5 * jitter)));
}

PeerLink::PeerLink(UvKj& kj, Peer peer, const Local& local)
    : kj_(kj),
      peer_(std::move(peer)),
      local_(local),
      idle_(kj.loop()),
      gone_(nullptr),
      running_(nullptr) {
  if (!peer_.on_demand) start();
}

PeerLink::~PeerLink() {
  const auto exception = KJ_EXCEPTION(DISCONNECTED, "it is no peer any more");
  finish(&exception);
}

void PeerLink::start() {
  running_ =
      kj::evalLater([this] { return run(); }).eagerlyEvaluate([this](kj::Exception&& exception) {
        log_error("peer", "{}: {}, giving up", peer_.name, text_of(exception));
      });
}

void PeerLink::redial() {
  if (peer_.on_demand) {
    facts_.reset();
    return hold(false, kNotReached);
  }
  running_ = nullptr;
  connection_ = nullptr;
  nudge_ = nullptr;
  failures_ = 0;
  if (up_) set_down("this node is now a member of another cluster, or of none");
  start();
}

kj::Promise<void> PeerLink::run() {
  return connect()
      .then([this] { return go_on(); })
      .catch_([this](kj::Exception&& exception) { set_down(explain(exception)); })
      .then([this] { return pause(); })
      .then([this] { return run(); });
}

// Completes only with an exception.
kj::Promise<void> PeerLink::go_on() {
  return kj_.after(kHelloPeriod).then([this] { return say_hello(); }).then([this] {
    return go_on();
  });
}

NodeDial PeerLink::dialling() const {
  NodeDial dial{.from = local_.from,
                .tls = local_.tls ? local_.tls() : std::nullopt,
                .expected = peer_.name,
                .denies = {},
                .limit = kHelloLimit};
  if (local_.desk != nullptr) dial.denies = local_.desk->denies;
  return dial;
}

kj::Promise<kj::Own<NodeConnection>> PeerLink::dial_anyway() const {
  NodeDial dial = dialling();
  dial.denies = nullptr;
  return dial_node(kj_, std::move(dial), peer_.address);
}

kj::Promise<void> PeerLink::connect() {
  NodeDial dial = dialling();
  encrypted_ = dial.tls.has_value();
  return dial_node(kj_, std::move(dial), peer_.address)
      .then([this](kj::Own<NodeConnection> connection) {
        connection_ = kj::mv(connection);
        return say_hello();
      });
}

// Members talk about the cluster as well.
kj::Promise<void> PeerLink::tell_news() {
  if (local_.desk == nullptr || !connection_->certificate) return kj::READY_NOW;
  return exchange_news(kj_, connection_->node.castAs<wire::Member>(), local_.desk->news())
      .then([this, peer = *connection_->certificate](ClusterNews news) {
        local_.desk->heard(peer, news, peer_.address);
        local_.desk->compare(peer_.name, news);
      });
}

kj::Promise<void> PeerLink::say_hello() {
  auto request = connection_->node.helloRequest();
  NodeFacts own = local_.facts();
  // Who is called does not use them.
  own.cpu_features.clear();
  write_info(own, request.initSelf());
  request.setKnows(facts_ ? facts_->life : 0);
  const MonotonicTime sent = std::chrono::steady_clock::now();
  kj::Promise<capnp::Response<wire::Node::HelloResults>> reply = request.send();
  return with_limit(kj_, kHelloLimit, "hello", kj::mv(reply))
      .then([this, sent](capnp::Response<wire::Node::HelloResults> response) {
        take_hello(response.getPeer(), sent);
        return tell_news();
      });
}

void PeerLink::take_hello(wire::NodeInfo::Reader from, MonotonicTime sent) {
  NodeFacts facts = value_of(read_info(from));
  if (facts.name != peer_.name)
    kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str("calls itself ", facts.name.c_str())));
  if (auto refusal = refuse_protocol(local_.facts().protocol, facts.protocol))
    kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str(refusal->message().c_str())));
  heard_ = std::chrono::steady_clock::now();
  rtt_us_ = static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(heard_ - sent).count());
  // It has left out what we know.
  if (facts_ && facts.life != 0 && facts.life == facts_->life && facts.cpu_features.empty())
    facts.cpu_features = std::move(facts_->cpu_features);
  facts_ = std::move(facts);
  failures_ = 0;
  failure_.clear();
  if (peer_.on_demand || std::exchange(up_, true)) return;
  reason_.clear();
  local_.on_change(peer_.name, true, "");
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
std::string PeerLink::explain(const kj::Exception& exception) {
  const std::string text = text_of(exception);
  const auto refusal = handshake_refusal(text);
  if (!refusal) return text;
  if (local_.on_refusal) local_.on_refusal(*refusal, peer_.name);
  return refusal->text;
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

kj::Promise<PeerLink::Reached> PeerLink::reach() {
  if (peer_.on_demand) return reach_on_demand();
  if (!up_ || connection_.get() == nullptr)
    return KJ_EXCEPTION(DISCONNECTED, kj::str(reason_.c_str()));
  return reached();
}

PeerLink::Reached PeerLink::reached() {
  return {connection_->node, *facts_, connection_->certificate.has_value()};
}

kj::Promise<wire::Member::Client> PeerLink::member() {
  return reach().then([](Reached&& peer) -> kj::Promise<wire::Member::Client> {
    if (!peer.member) return KJ_EXCEPTION(FAILED, "it has shown no certificate");
    return peer.node.castAs<wire::Member>();
  });
}

kj::Promise<std::optional<Reason>> PeerLink::admit(Offer offer, const Adapt& adapt) {
  return reach().then(
      [&kj = kj_, name = peer_.name, offer = std::move(offer),
       adapt](Reached&& peer) mutable -> kj::Promise<Answer> {
        if (adapt) adapt(peer.facts, offer);
        return offer_to(kj, peer.node, name, offer);
      },
      [name = peer_.name](kj::Exception&& exception) -> kj::Promise<Answer> {
        return Answer(refuse(ReasonCode::kTargetUnreachable, "node {} is not reachable: {}", name,
                             text_of(exception)));
      });
}

}  // namespace om::migrator
