// SPDX-License-Identifier: Apache-2.0
//
// The Cap'n Proto face of the keeper: one object per session connection.
#pragma once

#include "common/schema/session.capnp.h"
#include "guest/keeper.h"

namespace om::guest {

class KeeperService final : public schema::Keeper::Server {
 public:
  explicit KeeperService(Keeper& keeper) : keeper_(keeper) {}

  // Every call of home's.
  DispatchCallResult dispatchCall(
      uint64_t interface, uint16_t method,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer> context) override {
    keeper_.home_calls();
    return schema::Keeper::Server::dispatchCall(interface, method, context);
  }

  kj::Promise<void> prepare(PrepareContext context) override;
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
  kj::Promise<void> peek(PeekContext context) override;
  kj::Promise<void> cut(CutContext context) override;
  kj::Promise<void> bodyEnds(BodyEndsContext context) override;
  kj::Promise<void> evicted(EvictedContext context) override;
  kj::Promise<void> pin(PinContext context) override;

 private:
  Keeper& keeper_;
};

}  // namespace om::guest
