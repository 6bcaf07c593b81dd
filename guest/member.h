// SPDX-License-Identifier: Apache-2.0
//
// One member of a session on this node: its body, its connections to home, and what builds, describes and sends it.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include "guest/body.h"
#include "guest/builder.h"
#include "guest/channels.h"
#include "guest/collector.h"
#include "guest/home_link.h"
#include "guest/home_watch.h"
#include "guest/session.h"

namespace om::guest {

class Member {
 public:
  // All outlive the object.
  struct With {
    kj::AsyncIoContext& io;
    Dialer& dialer;
    HomeWatch& home;
    Session& session;
    const GuestTerms& terms;
  };

  Member(const With& with, uint32_t number)
      : link_(with.dialer, number),
        body_(with.io, [this](uint32_t slot) { channels_.ask(slot); }),
        channels_(with.io.provider->getTimer(), link_, with.home, body_),
        builder_(with.session, link_, body_, with.terms),
        collector_(with.session, link_, body_) {
    body_.layout().member = number;
  }

  HomeLink& link() { return link_; }
  const HomeLink& link() const { return link_; }
  Body& body() { return body_; }
  const Body& body() const { return body_; }
  Builder& builder() { return builder_; }
  Collector& collector() { return collector_; }

  // Body::ping, and wakes threads whose channels are broken.
  Pulse ping(int64_t home_mono, int64_t home_real) {
    body_.wake_threads(link_.broken_channels());
    return body_.ping(home_mono, home_real);
  }
  // Home does not need it any more.
  void end() { over_ = true; }
  bool is_over() const { return over_; }

 private:
  HomeLink link_;
  Body body_;
  Channels channels_;
  Builder builder_;
  Collector collector_;
  bool over_ = false;
};

}  // namespace om::guest
