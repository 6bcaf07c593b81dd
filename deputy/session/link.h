// SPDX-License-Identifier: Apache-2.0
//
// Connections that the keeper makes to us: one TCP listener per deputy, a preamble on each connection that
// says what it is and proves that the keeper makes it, now (common/tls/pass.h). A connection that does not is dropped
// without an answer, and changes nothing: not what is there, not what is waited for.
//
// KJ event loop.
#pragma once

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "common/movable/verdict.h"
#include "common/net/address.h"
#include "common/net/ports.h"
#include "common/tls/pass.h"
#include "deputy/session/channels.h"

namespace om::deputy {

SessionTerms random_terms();

// What a session's connections have to do, on top of proving themselves.
enum class LinkWire : uint8_t { kSealed, kPlain };

class Link {
 public:
  // Where keepers find us.
  struct Place {
    Address address;  // port 0: any of `ports`
    PortRange ports;
    std::vector<uint16_t> others;  // of them, of deputies that have died: others take over there
  };
  // Listens there. If no port of the range is free, listen() has to try again; any other failure is a KJ exception.
  Link(kj::AsyncIoContext& io, const Place& place, LinkWire wire);

  // FULL if no port is free.
  Step listen();
  uint16_t port() const { return port_; }

  // Keeps the highest number of a connection where the next deputy finds it, before the connection is used. False: it
  // cannot, and the connection is dropped.
  using Remember = std::function<bool(uint64_t attempt)>;
  // From now on connections of this session and member are for us; what was there before is dropped. `floor`: highest
  // number that another deputy of the session has taken. KJ exception if OpenSSL has no memory.
  void expect(const SessionTerms& terms, uint32_t member, uint64_t floor, Remember remember);
  LinkWire wire() const { return wire_; }
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

  bool listen_on(uint16_t port);
  kj::Promise<void> accept_loop();
  void take(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> greet(kj::Own<kj::AsyncIoStream> stream);
  const char* refuse(const Preamble& preamble) const;
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
  const Place place_;
  kj::Own<kj::ConnectionReceiver> receiver_;
  uint16_t port_ = 0;
  bool expecting_ = false;
  bool patient_ = false;
  kj::Maybe<kj::Exception> failed_;
  const LinkWire wire_;
  std::optional<Pass> pass_;
  Attempts attempts_;
  Remember remember_;
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
