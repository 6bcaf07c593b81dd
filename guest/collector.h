// SPDX-License-Identifier: Apache-2.0
//
// The way back: stops the body, describes it and sends it home, or lets it go on. Top level.
#pragma once

#include <stdint.h>

#include <chrono>

#include "common/image/description.h"
#include "common/image/page_sink.h"
#include "common/movable/verdict.h"
#include "common/proc/pagemap.h"
#include "common/schema/session.capnp.h"
#include "guest/body.h"
#include "guest/checks.h"
#include "guest/home_link.h"
#include "guest/session.h"

namespace om::guest {

class Collector {
 public:
  Collector(Session& session, HomeLink& link, Body& body)
      : session_(session), link_(link), body_(body) {}

  // Stops every thread (Body::park) and describes the body in `image`.
  Step stop(uint32_t generation, bool look, Description& image);
  // Sends what these ranges hold, and an end mark in any case. `sent` counts it.
  Step collect(capnp::List<schema::Range>::Reader ranges, PageCounts& sent);
  // Lets the body go on, and opens a new page connection.
  Step resume();

 private:
  Step describe(Description& image);
  Step describe_threads(const BodyState& body, Description& image);
  Verdict<Description::Thread> describe_thread(uint32_t slot, const BodyThread& t);
  Description::Clocks describe_clocks(const BodyState& body);
  Step describe_stack(const BodyState& body, Description& image);
  Verdict<uint64_t> stack_low(const BodyState& body);
  Step send(capnp::List<schema::Range>::Reader ranges, PageSink& sink);
  Step send_range(const WantedRange& range, const proc::Pagemap& pagemap, PageSink& sink);
  Step send_run(const proc::PageRun& run, bool file, PageSink& sink);
  void look_around();
  void renew_pages();

  Session& session_;
  HomeLink& link_;
  Body& body_;
  std::chrono::steady_clock::time_point looked_around_;
};

}  // namespace om::guest
