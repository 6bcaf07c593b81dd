// SPDX-License-Identifier: Apache-2.0
//
// The keeper of one guest: its sessions with the deputy at home, one after the other, and the members whose bodies the
// deputy has made here (session.capnp; service.cc). Long steps are queued (jobs.h); kicks, pings and job control are
// served at once.
#pragma once

#include <kj/async-io.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "guest/dialer.h"
#include "guest/fresh_process.h"
#include "guest/home_watch.h"
#include "guest/jobs.h"
#include "guest/member.h"
#include "guest/memory_watch.h"
#include "guest/session.h"

namespace om::guest {

// What om-migrator says of the guest and its home.
struct KeeperOptions {
  Address home;
  SessionTerms terms;
  SessionCipher cipher;  // of all connections with home
  GuestTerms guest;
  uint64_t headroom = 0;  // bytes of memory that this node keeps for itself; 0: it is not watched
  uint64_t memory = 0;    // bytes that the guest may use before it is sent home; 0: no limit
};

class Keeper {
 public:
  Keeper(kj::AsyncIoContext& io, const KeeperOptions& options);

  // Until the session has ended. Top level.
  void run();

  // What home's calls do (service.cc). Runs `job` on the top level; the promise resolves when it has returned. It is
  // left out if the session that asks for it ends before.
  kj::Promise<void> queue(std::function<void()> job) { return jobs_.add(std::move(job)); }
  // A call of home's has come.
  void home_calls() { home_.served(); }
  // The member, a new one if need be. KJ exception for a number that no member has.
  Member& make_member(uint32_t number);
  // The same for one that is here. KJ exception if it is not.
  Member& member(uint32_t number);
  // Home does not need the member any more, nor, of the last one, what is under way for it.
  void end(Member& member);
  // Why the bodies have to go home.
  struct Eviction {
    std::string why;  // what memory is short
    // The node takes no guests any more: SIGUSR1 has said so.
    bool draining = false;
  };
  // Resolves when they have to. If memory is short they are held then.
  kj::Promise<Eviction> evicted();
  // As if the network had cut the session.
  void drop_session();

 private:
  kj::Promise<Eviction> memory_short();
  void session_failed(const kj::Exception& exception);
  kj::Promise<void> serve_sessions();
  kj::Promise<void> serve(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> serve_next();
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect_session();
  kj::Promise<void> nobody_serves();
  bool home_is_lost() const;
  bool is_any_running() const;
  void bury();
  void make_spare();

  kj::AsyncIoContext& io_;
  const GuestTerms terms_;
  Dialer dialer_;
  HomeWatch home_;
  Session session_;
  Jobs jobs_{session_};
  std::map<uint32_t, Member> members_;
  std::optional<FreshProcess> spare_;        // for the first member
  std::optional<MemoryWatch> memory_watch_;  // none: no memory is watched
  kj::ForkedPromise<void> drained_;
  bool ending_ = false;
  int session_fd_ = -1;
};

}  // namespace om::guest
