// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/member_links.h"

#include <kj/debug.h>

#include <utility>

#include "common/base/log.h"
#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

std::string bytes_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

capnp::Data::Reader data_of(const std::string& bytes) {
  return {reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size()};
}

// The pages of one node, asked for one after the other.
struct Reading {
  MemberLinks::Dialled from;
  Fetched fetched{};
  std::string after{};
  size_t pages = 0;
};

kj::Promise<void> read_on(const std::shared_ptr<Reading>& reading) {
  auto request = reading->from.node.snapshotRequest();
  request.setAfter(data_of(reading->after));
  return request.send().then(
      [reading](capnp::Response<wire::Node::SnapshotResults>&& response) -> kj::Promise<void> {
        auto rumours = decode_rumours(bytes_of(response.getRumours()), kMostPageBytes);
        if (!rumours) return KJ_EXCEPTION(FAILED, rumours.error().text().c_str());
        std::move(rumours->begin(), rumours->end(), std::back_inserter(reading->fetched.rumours));
        const std::string next = bytes_of(response.getNext());
        if (next.empty()) return kj::READY_NOW;
        // Cursors rise, so this ends.
        if (next.size() > kMostCursorBytes || next <= reading->after ||
            ++reading->pages >= kMostPages)
          return KJ_EXCEPTION(FAILED, "a member list without an end");
        reading->after = next;
        return read_on(reading);
      });
}

}  // namespace

MemberLinks::MemberLinks(UvKj& kj, Dial dial)
    : kj_(kj), dial_(std::move(dial)), tasks_(kj::heap<kj::TaskSet>(errors_)) {}

MemberLinks::~MemberLinks() noexcept(false) { tasks_ = nullptr; }

void MemberLinks::run(kj::Promise<void> task) {
  ++running_;
  tasks_->add(task.then([this] { --running_; }));
}

kj::Promise<uint64_t> MemberLinks::ask(const Address& to, NodeId node, uint64_t incarnation) {
  return dial_(to).then([node, incarnation](Dialled&& dialled) -> kj::Promise<uint64_t> {
    if (dialled.id != node) return KJ_EXCEPTION(FAILED, "another node listens there");
    auto request = dialled.node.accusedRequest();
    request.setIncarnation(incarnation);
    return request.send()
        .then([](capnp::Response<wire::Node::AccusedResults>&& response) {
          return response.getIncarnation();
        })
        .attach(kj::mv(dialled));
  });
}

// All addresses at once: the first answer counts, and only when all have failed there is none.
kj::Promise<uint64_t> MemberLinks::ask_all(const std::vector<Address>& addresses, NodeId node,
                                           uint64_t incarnation) {
  struct Race {
    kj::Own<kj::PromiseFulfiller<uint64_t>> fulfiller;
    size_t left = 0;
  };
  auto pair = kj::newPromiseAndFulfiller<uint64_t>();
  auto race = std::make_shared<Race>();
  race->fulfiller = kj::mv(pair.fulfiller);
  race->left = addresses.size();
  auto attempts = kj::heapArrayBuilder<kj::Promise<void>>(addresses.size());
  for (const Address& address : addresses) {
    attempts.add(ask(address, node, incarnation)
                     .then([race](uint64_t answer) { race->fulfiller->fulfill(kj::mv(answer)); },
                           [race](kj::Exception&& exception) {
                             if (--race->left == 0) race->fulfiller->reject(kj::mv(exception));
                           })
                     .eagerlyEvaluate(nullptr));
  }
  return pair.promise.attach(attempts.finish());
}

kj::Promise<Fetched> MemberLinks::fetch(const Address& to, std::optional<NodeId> node) {
  return dial_(to).then([node](Dialled&& dialled) -> kj::Promise<Fetched> {
    if (node && dialled.id != *node) return KJ_EXCEPTION(FAILED, "another node listens there");
    const NodeId from = dialled.id;
    auto reading = std::make_shared<Reading>(Reading{std::move(dialled), {from, {}}});
    return read_on(reading).then([reading] { return std::move(reading->fetched); });
  });
}

Links MemberLinks::links() {
  Links links;
  links.accuse = [this](const MemberView& node, uint64_t incarnation,
                        std::function<void(std::optional<uint64_t>)> done) {
    if (running_ >= kMostAtOnce) return done({});
    std::vector<Address> addresses;
    for (const HostAddress& host : node.addresses) addresses.push_back(endpoint(host, node.port));
    run(with_limit(kj_, kAccuseLimit, "dial of a suspected node",
                   ask_all(addresses, node.id, incarnation))
            .then([done](uint64_t answer) { done(answer); },
                  [done](kj::Exception&&) { done({}); }));
  };
  links.fetch = [this](const Address& address, std::optional<NodeId> node,
                       std::function<void(Result<Fetched>)> done) {
    if (running_ >= kMostAtOnce) return done(plain_error("too many connections at a time"));
    run(with_limit(kj_, kFetchLimit, "list of members", fetch(address, node))
            .then([done](Fetched&& fetched) { done(std::move(fetched)); },
                  [done](kj::Exception&& exception) { done(plain_error(text_of(exception))); }));
  };
  return links;
}

}  // namespace om::members
