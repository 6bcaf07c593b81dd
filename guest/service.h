// SPDX-License-Identifier: Apache-2.0
//
// The Cap'n Proto face of the keeper: a KeeperService per session connection, and a BodyService for each body that home
// has asked for in it.
#pragma once

#include "common/schema/session.capnp.h"
#include "guest/keeper.h"

namespace om::guest {

// Every call of home's is a sign that it serves the session.
template <class Interface>
class Served : public Interface::Server {
 public:
  explicit Served(Keeper& keeper) : keeper_(keeper) {}

  capnp::Capability::Server::DispatchCallResult dispatchCall(
      uint64_t interface, uint16_t method,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer> context) override {
    keeper_.home_calls();
    return Interface::Server::dispatchCall(interface, method, context);
  }

 protected:
  Keeper& keeper_;
};

class KeeperService final : public Served<schema::Keeper> {
 public:
  using Served::Served;

  kj::Promise<void> makeBody(MakeBodyContext context) override;
  kj::Promise<void> body(BodyContext context) override;
  kj::Promise<void> evicted(EvictedContext context) override;
};

class BodyService final : public Served<schema::Body> {
 public:
  BodyService(Keeper& keeper, Member& member) : Served(keeper), member_(member) {}

  kj::Promise<void> build(BuildContext context) override;
  kj::Promise<void> filled(FilledContext context) override;
  kj::Promise<void> commit(CommitContext context) override;
  kj::Promise<void> kick(KickContext context) override;
  kj::Promise<void> stop(StopContext context) override;
  kj::Promise<void> collect(CollectContext context) override;
  kj::Promise<void> resume(ResumeContext context) override;
  kj::Promise<void> pause(PauseContext context) override;
  kj::Promise<void> end(EndContext context) override;
  kj::Promise<void> ping(PingContext context) override;
  kj::Promise<void> ends(EndsContext context) override;
  kj::Promise<void> peek(PeekContext context) override;
  kj::Promise<void> pin(PinContext context) override;

 private:
  Member& member_;
};

}  // namespace om::guest
