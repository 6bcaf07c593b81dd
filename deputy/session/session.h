// SPDX-License-Identifier: Apache-2.0
//
// The connections with the keeper of one stay away, and what is asked of it within a time.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include <chrono>
#include <functional>
#include <string>

#include "common/schema/session.capnp.h"
#include "deputy/session/link.h"
#include "deputy/session/outcome.h"

namespace om::deputy {

using MakeBody = capnp::Request<schema::Keeper::MakeBodyParams, schema::Keeper::MakeBodyResults>;

class Session {
 public:
  Session(kj::AsyncIoContext& io, const Link::Place& listen, LinkWire wire, uint32_t member);

  Link& link() { return link_; }
  const Link& link() const { return link_; }
  const SessionTerms& terms() const { return terms_; }
  // From now on a keeper with these terms may come; see Link::expect().
  void expect(const SessionTerms& terms, uint64_t floor, Link::Remember remember);
  // The keeper's SESSION connection is here. It has no body of ours yet.
  void open(kj::Own<kj::AsyncIoStream> stream);
  // The same of a keeper that has our body.
  void reopen(kj::Own<kj::AsyncIoStream> stream);
  // Has the keeper make the body that `request` describes. What the keeper refuses; KJ exception within `limit`.
  Step make_body(MakeBody& request, kj::Duration limit);
  // The connection is lost: who waits for pages must not go on waiting.
  void lose();
  // Cuts the connection.
  void cut();
  // Ends all connections.
  void close();

  kj::Maybe<schema::Keeper::Client>& keeper() { return keeper_; }
  bool has_keeper() const { return keeper_ != nullptr; }
  // What is asked of the keeper for our body; none as long as there is no keeper or it has made none.
  kj::Maybe<schema::Body::Client>& body() { return body_; }
  capnp::TwoPartyClient* client() { return client_.get(); }
  // Connections with the keeper that came after the first.
  uint32_t count() const { return count_; }
  void came_back() { count_++; }

  // `request` is sent; its answer is waited for. KJ exception if there is none within `limit`.
  template <class Request>
  auto ask(Request& request, kj::Duration limit) {
    return timer().timeoutAfter(limit, request.send()).wait(io_.waitScope);
  }
  // Stops the body, for a look only or for a homecoming.
  capnp::Response<schema::Body::StopResults> stop_body(schema::Body::Client& body, bool look);
  // Lets the body run. The keeper makes another page connection at that.
  void resume_body(schema::Body::Client& body);
  // Ends the body, if there is one and the keeper is there.
  void end_body();

  // The page connection: waits for it, for `limit` at most.
  void await_bulk(kj::Duration limit);
  void renew_bulk() { bulk_stale_ = true; }
  bool has_bulk() const { return !bulk_stale_; }
  kj::AsyncIoStream& bulk() { return *bulk_; }
  // Waits for what comes there. A keeper that answers pings is busy looking for pages, and not lost; else a KJ
  // exception after 30 s.
  template <class T>
  T wait_for_pages(kj::Promise<T>&& pages) {
    kj::Own<T> come;
    wait_for_pages(pages.then([&come](T&& t) { come = kj::heap<T>(kj::mv(t)); }));
    return kj::mv(*come);
  }
  void wait_for_pages(kj::Promise<void>&& pages);

  // The keeper has answered something.
  void hear() { heard_ = std::chrono::steady_clock::now(); }
  // Whether it has not for so long that nothing is asked of it.
  bool is_silent() const;
  // Out of reach for a moment: waits for the keeper and its page connection. OUT_OF_REACH after 5 s, or as soon as
  // `is_over` says so.
  Step wait_for_keeper(const std::string& at, const std::function<bool()>& is_over);

 private:
  kj::Timer& timer() { return io_.provider->getTimer(); }

  kj::AsyncIoContext& io_;
  Link link_;
  const uint32_t member_;
  SessionTerms terms_{};
  kj::Own<kj::AsyncIoStream> stream_, bulk_;
  kj::Own<capnp::TwoPartyClient> client_;
  kj::Maybe<schema::Keeper::Client> keeper_;
  kj::Maybe<schema::Body::Client> body_;
  uint32_t generation_;      // of the last stop
  bool bulk_stale_ = false;  // the keeper has made, or makes, another page connection
  uint32_t count_ = 0;
  std::chrono::steady_clock::time_point heard_{};
  std::chrono::steady_clock::time_point looked_around_{};  // by who takes pages
};

}  // namespace om::deputy
