// SPDX-License-Identifier: Apache-2.0
//
// Connections that the keeper makes to us: one TCP listener per deputy, a preamble on each connection that
// says what it is (common/net/preamble.h). A connection that does not prove itself within a time is dropped.
//
// KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include <chrono>
#include <list>
#include <string>

#include "common/net/address.h"
#include "common/net/preamble.h"
#include "deputy/session/channels.h"

namespace om::deputy {

struct SessionKeys {
  uint8_t session[16];
  uint8_t token[16];

  static SessionKeys random();
  std::string session_hex() const;
  std::string token_hex() const;
};

class Link {
 public:
  // Listens on `address` (port 0: any). KJ exception if it cannot.
  Link(kj::AsyncIoContext& io, const Address& address);

  uint16_t port() const { return port_; }

  // From now on connections with these keys, and of this member, are for us; what was there before is dropped.
  void expect(const SessionKeys& keys, uint32_t member);
  // From now on a connection that cannot be taken (no descriptors are left here) is waited for. Before, between
  // expect() and this, what is waited for fails then: a departure holds its process up.
  void be_patient();
  // No connection is accepted any more and all are closed.
  void close_all();

  // The SESSION or BULK connection, when it is there (again).
  kj::Promise<kj::Own<kj::AsyncIoStream>> session();
  kj::Promise<kj::Own<kj::AsyncIoStream>> bulk();
  // Channels::wait_for, unless connections cannot be taken.
  kj::Promise<void> wait_for_channels(uint32_t count);

  Channels& channels() { return channels_; }
  // Whether there is a SESSION connection that nobody has asked for.
  bool has_session() const { return session_.early.get() != nullptr; }

 private:
  struct Waiting {
    kj::Own<kj::PromiseFulfiller<kj::Own<kj::AsyncIoStream>>> fulfiller;
    kj::Own<kj::AsyncIoStream> early;  // arrived before anybody asked
  };

  kj::Promise<void> accept_loop();
  void take(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> greet(kj::Own<kj::AsyncIoStream> stream);
  void file(const Preamble& preamble, kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<kj::Own<kj::AsyncIoStream>> next(Waiting& waiting);
  static void arrived(Waiting& waiting, kj::Own<kj::AsyncIoStream> stream);
  void cannot_take(const kj::Exception& exception);
  void say_dropped(const std::string& why);

  // Connections that were not for us.
  struct Drops {
    uint64_t count = 0;
    std::chrono::steady_clock::time_point said{};  // in the log
  };

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    explicit Errors(Link& link) : link_(link) {}
    void taskFailed(kj::Exception&& exception) override;

   private:
    Link& link_;
  };

  kj::AsyncIoContext& io_;
  kj::Own<kj::ConnectionReceiver> receiver_;
  uint16_t port_ = 0;
  bool expecting_ = false;
  bool patient_ = false;
  kj::Maybe<kj::Exception> failed_;
  Pass pass_{};
  uint32_t member_ = kFirstMember;
  Waiting session_, bulk_;
  Channels channels_;
  // Connections that have not said yet what they are, oldest first: each ends when its promise is fulfilled.
  std::list<kj::Own<kj::PromiseFulfiller<void>>> greetings_;
  Drops drops_;
  Errors errors_;
  kj::TaskSet tasks_;
};

}  // namespace om::deputy
