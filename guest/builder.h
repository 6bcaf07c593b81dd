// SPDX-License-Identifier: Apache-2.0
//
// From home's description to a running body: a fresh process in which libom's place is reserved (prepare), its address
// space and channels (build), its pages and threads (filled), and the word to run (commit). Top level; each step has
// its phase and is refused (INTERNAL) in another. Everything that home says is checked first (checks.h); what is then
// written into the body concerns the guest only.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <functional>
#include <string>
#include <vector>

#include "common/image/description.h"
#include "common/movable/verdict.h"
#include "common/schema/session.capnp.h"
#include "guest/body.h"
#include "guest/fill.h"
#include "guest/home_link.h"
#include "guest/plan.h"
#include "guest/session.h"
#include "libom/abi/sockets.h"

namespace om::guest {

// What om-migrator says about the guest.
struct GuestTerms {
  std::string launcher;  // path of om-body
  std::string guest;     // PID@NODE at home, for ps
  proc::Isolation isolation = proc::Isolation::kTry;
  uint32_t threads = 0;  // that it may have; 0: no limit of its own
  proc::CpuShare cpu = proc::CpuShare::kNormal;
  uint64_t offered = 0;  // bytes that home offered and this node admitted
};

class Builder {
 public:
  Builder(Session& session, HomeLink& link, Body& body, GuestTerms terms)
      : session_(session), link_(link), body_(body), terms_(std::move(terms)) {}

  // launch.cc. VERSION, CPU_COUNT, NO_MEMORY, INTERNAL.
  Step prepare(schema::BodySpec::Reader spec);
  Step build(schema::Image::Reader image);
  // `pages`: how many home has sent.
  Step filled(uint64_t pages);
  // Home's clocks in ns.
  Step commit(uint32_t epoch, int64_t home_mono, int64_t home_real);

 private:
  Step attempt(const std::function<Step()>& step);
  // Runs a step of the way in: from one phase to the next, or to kBroken.
  Step advance(Phase from, Phase to, const std::function<Step()>& step);
  // launch.cc
  Step prepare_body(schema::BodySpec::Reader spec);
  // False: libom's place is taken in this process; it may be free in another.
  Verdict<bool> launch(schema::BodySpec::Reader spec);
  Verdict<bool> map_libom(const std::string& title);

  Step build_body(schema::Image::Reader image);
  Step write_plan(const Description& image);
  Step write_vdso(const LocalVdso& vdso);
  Step write_state(const Description& image);
  Step write_threads(const Description& image);
  Step enter();
  void start_fill(const Description& image);
  Step open_channels(uint32_t count);
  Step make_threads(uint64_t pages);
  // Waits for one message from the body and checks its result.
  Step expect(uint32_t type, const char* what);

  Session& session_;
  HomeLink& link_;
  Body& body_;
  GuestTerms terms_;
  std::vector<LaunchSegment> segments_;
  Fill fill_;
};

}  // namespace om::guest
