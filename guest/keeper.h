// SPDX-License-Identifier: Apache-2.0
//
// The keeper of one guest: its sessions with the deputy at home, one after the other, and what the deputy asks for in
// them (session.capnp; service.cc) with the body on this node. Long steps are queued (jobs.h); kicks, pings and job
// control are served at once.
#pragma once

#include <kj/async-io.h>

#include <functional>
#include <optional>
#include <string>

#include "guest/body.h"
#include "guest/builder.h"
#include "guest/channels.h"
#include "guest/collector.h"
#include "guest/home_link.h"
#include "guest/home_watch.h"
#include "guest/jobs.h"
#include "guest/memory_watch.h"
#include "guest/session.h"

namespace om::guest {

// What om-migrator says of the guest and its home.
struct KeeperOptions {
  Address home;
  uint8_t session[16], token[16];
  GuestTerms guest;
  uint64_t headroom = 0;  // bytes of memory that this node keeps for itself; 0: it is not watched
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
  Builder& builder() { return builder_; }
  Collector& collector() { return collector_; }
  Body& body() { return body_; }
  // Body::ping, and threads whose channels are broken are woken.
  Pulse ping(int64_t home_mono, int64_t home_real);
  // Home does not need the body any more, nor what is under way for it.
  void end();
  // Resolves to what is short when this node's memory is; the body is held then.
  kj::Promise<std::string> memory_short();
  // As if the network had cut the session; "channels", "session" or "all".
  void drop_session();
  void shut(const std::string& what);

 private:
  void session_failed(const kj::Exception& exception);
  kj::Promise<void> serve_sessions();
  kj::Promise<void> serve(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> serve_next();
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect_session();
  kj::Promise<void> nobody_serves();
  bool home_is_lost() const;

  kj::AsyncIoContext& io_;
  HomeLink link_;
  HomeWatch home_;
  Session session_;
  Jobs jobs_{session_};
  Body body_;
  Channels channels_;
  Builder builder_;
  Collector collector_;
  std::optional<MemoryWatch> memory_watch_;  // none: this node's memory is not watched
  bool ending_ = false;
  int session_fd_ = -1;
};

}  // namespace om::guest
