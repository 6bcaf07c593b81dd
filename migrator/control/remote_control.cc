// SPDX-License-Identifier: Apache-2.0
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // as in peers/peer_link.cc
#endif
#include "migrator/control/remote_control.h"

#include <fmt/core.h>
#include <kj/debug.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/text.h"
#include "migrator/peers/cluster_wire.h"

namespace om::migrator {
namespace {

// A drain ends soon after its limit.
constexpr Milliseconds kPatience{15000};

// Both fail like the connection, if the node does not know the question (UNIMPLEMENTED), or when it answers nonsense or
// not in time.
kj::Promise<EmptyAnswer> ask_drain(UvKj& kj, wire::Member::Client node, Milliseconds limit) {
  auto call = node.drainRequest();
  call.setLimitMs(static_cast<uint32_t>(limit.count()));
  kj::Promise<capnp::Response<wire::Member::DrainResults>> reply = call.send();
  return with_limit(kj, limit + kPatience, "emptying it", kj::mv(reply))
      .then([](capnp::Response<wire::Member::DrainResults> response) {
        return value_of(read_emptied(response));
      });
}

kj::Promise<OpenAnswer> ask_undrain(UvKj& kj, wire::Member::Client node) {
  kj::Promise<capnp::Response<wire::Member::UndrainResults>> reply = node.undrainRequest().send();
  return with_limit(kj, kQuestionLimit, "the answer", kj::mv(reply))
      .then([](capnp::Response<wire::Member::UndrainResults> response) {
        return value_of(read_opened(response));
      });
}

Emptied emptied_of(const Json& drained) {
  Emptied emptied{drained["home"].get<uint32_t>(), drained["guests"].get<uint32_t>(), {}};
  for (const Json& item : drained["failed"]) {
    emptied.failed.push_back({item["pid"].get<int32_t>(), item["code"].get<std::string>(),
                              item["message"].get<std::string>()});
  }
  return emptied;
}

Json to_json(const Emptied& emptied) {
  Json failed = Json::array();
  for (const Emptied::Failed& item : emptied.failed)
    failed.push_back({{"pid", item.pid}, {"code", item.code}, {"message", item.message}});
  return {{"home", emptied.home}, {"failed", std::move(failed)}, {"guests", emptied.guests}};
}

Failure not_answered(const std::string& node, const kj::Exception& exception) {
  if (exception.getType() == kj::Exception::Type::UNIMPLEMENTED) {
    return {ExitCode::kRefused, ReasonCode::kVersion,
            fmt::format("node {} does not know this yet: its openMosix is older", node)};
  }
  return {ExitCode::kFailure, ReasonCode::kTargetUnreachable,
          fmt::format("node {}: {}", node, escaped(exception.getDescription().cStr(), 1000))};
}

}  // namespace

Json drain_answer(Json drained) {
  if (is_empty(drained)) return ok_answer(std::move(drained));
  return failure_answer({ExitCode::kSomeLeft, "not all went home"}, std::move(drained));
}

void RemoteControl::ask_other(const std::string& node, Answerer answer, Ask ask) {
  PeerLink* link = services_.peers.find(node);
  if (link == nullptr) {
    return answer(failure_answer(
        {ExitCode::kNotFound, ReasonCode::kNoSuchNode, "there is no node " + escaped(node, 80)}));
  }
  // A connection of its own: the link's is closed when nothing begins on it for a while.
  tasks_->add(
      link->dial()
          .then([ask = std::move(ask)](kj::Own<NodeConnection> connection) -> kj::Promise<Json> {
            if (!connection->certificate) {
              return failure_answer({ExitCode::kPermission, ReasonCode::kRemoteControl,
                                     "only members of a cluster may ask each other for this"});
            }
            auto asked = ask(connection->node.castAs<wire::Member>());
            return asked.attach(kj::mv(connection));
          })
          .catch_([node](kj::Exception&& exception) -> Json {
            return failure_answer(not_answered(node, exception));
          })
          .then([answer = std::move(answer)](Json said) { answer(std::move(said)); }));
}

void RemoteControl::drain_other(const std::string& node, Milliseconds limit, Answerer answer) {
  ask_other(node, std::move(answer), [this, limit](wire::Member::Client member) {
    return ask_drain(services_.kj, kj::mv(member), limit).then([](EmptyAnswer said) {
      return said ? drain_answer(to_json(*said)) : failure_answer(said.error());
    });
  });
}

void RemoteControl::undrain_other(const std::string& node, Answerer answer) {
  ask_other(node, std::move(answer), [this](wire::Member::Client member) {
    return ask_undrain(services_.kj, kj::mv(member)).then([](OpenAnswer said) {
      return said ? ok_answer({{"was_closed", *said}}) : failure_answer(said.error());
    });
  });
}

std::optional<Failure> RemoteControl::refuse(const Certificate& peer, const char* what) const {
  log_info("remote", "{} asks this node to {}{}", peer.name, what,
           services_.remote_control ? "" : ", refused: remote_control");
  if (services_.remote_control) return std::nullopt;
  return Failure{ExitCode::kPermission, ReasonCode::kRemoteControl,
                 fmt::format("{} does not let other nodes {} it", services_.name, what)};
}

kj::Promise<EmptyAnswer> RemoteControl::drain(const Certificate& peer, Milliseconds limit) {
  if (auto no = refuse(peer, "empty")) return EmptyAnswer(std::move(*no));
  if (drain_.under_way()) {
    return EmptyAnswer(Failure{ExitCode::kFailure, services_.name + " is being emptied already"});
  }
  auto pair = kj::newPromiseAndFulfiller<EmptyAnswer>();
  // std::function wants to be copied.
  auto done = std::make_shared<kj::Own<kj::PromiseFulfiller<EmptyAnswer>>>(kj::mv(pair.fulfiller));
  drain_.begin(
      std::clamp(limit, Milliseconds(1), Milliseconds(kMaxLimitMs)),
      [done](const Json& drained) { (*done)->fulfill(emptied_of(drained)); }, peer.name);
  return kj::mv(pair.promise);
}

OpenAnswer RemoteControl::undrain(const Certificate& peer) {
  if (auto no = refuse(peer, "open")) return std::move(*no);
  const bool closed = drain_.closed();
  drain_.reopen();
  return closed;
}

}  // namespace om::migrator
