// SPDX-License-Identifier: Apache-2.0
//
// One guest's body as its keeper knows it: the process, what lies where in its memory, its clocks, and whether it runs,
// is parked or is held. Builder makes it (builder.h), Collector describes and sends it (collector.h).
//
// KJ event loop; functions that wait take the session that they wait in.
#pragma once

#include <kj/async-io.h>
#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/movable/verdict.h"
#include "common/schema/session.capnp.h"
#include "guest/body_layout.h"
#include "guest/body_process.h"
#include "guest/clocks.h"
#include "guest/objects.h"
#include "guest/session.h"
#include "libom/abi/body.h"
#include "libom/abi/layout.h"

namespace om::guest {

// How far the guest has got. Each call of the session belongs to a phase and is refused in others.
enum class Phase { kFresh, kPrepared, kBuilt, kFilled, kRunning, kBroken };

// A body's resource usage, and the time on its clock.
struct Pulse {
  uint64_t cpu_ns = 0, rss_bytes = 0;
  uint32_t threads = 0;
  int64_t body_mono_ns = 0;
};

class Body {
 public:
  // `on_need_channel(slot)`: a thread has lost its channel, or a new one needs its first.
  Body(kj::AsyncIoContext& io, std::function<void(uint32_t)> on_need_channel);

  BodyProcess& process() { return process_; }
  const BodyProcess& process() const { return process_; }
  const ProcessMemory& memory() const { return process_.memory(); }
  BodyLayout& layout() { return layout_; }
  const Bounds& bounds() const { return layout_.bounds; }
  Objects& objects() { return objects_; }
  Clocks& clocks() { return clocks_; }

  Phase phase() const { return phase_; }
  void reach(Phase phase) { phase_ = phase; }
  bool is_running() const { return phase_ == Phase::kRunning; }

  uint64_t thread_address(uint32_t slot) const {
    return slot_address(bounds().arena, slot) + kSlotBlock;
  }
  // ESRCH: the process has ended.
  Result<BodyThread> thread(uint32_t slot) const;
  template <class T>
  Result<void> put_state(size_t offset, const T& value) const {
    return memory().put(bounds().body_state + offset, value);
  }
  // Writes the clock page, as of now.
  void write_clock();

  // park.cc. Stops every thread where it can be described. `generation`: not 0, a new one each time. A body stopped by
  // job control parks for a `look` only. INTERNAL, STOPPED, UNINTERRUPTIBLE: the body goes on.
  Step park(Session& session, uint32_t generation, bool look);
  bool is_parked() const { return parked_; }
  // INTERNAL if the body is not running.
  Step let_go_on(Session& session);
  void kick(capnp::List<uint32_t>::Reader slots);
  // Job control: home is stopped or continued.
  void pause(bool on);
  // Keeps it from taking memory until home has stopped it, or for 2 s.
  void hold();

  // Keeps its clocks behind home's (ns) and reports how it is doing.
  Pulse ping(int64_t home_mono, int64_t home_real);
  // Wakes threads whose channels are broken: they notice and ask for new ones.
  void wake_threads(const std::vector<uint32_t>& slots);
  // Up to `bytes`; less if not all of it is readable. INTERNAL: the body has ended.
  Verdict<std::vector<std::byte>> peek(uint64_t address, size_t bytes) const;
  // Applies home's choice of CPUs, always for all threads; `change`: BodyState.cpu_changes.
  void pin(uint32_t change, capnp::List<schema::ThreadCpus>::Reader threads);

 private:
  Step wait_parked(Session& session, uint32_t generation);
  Verdict<std::vector<BodyThread>> late_threads(uint32_t generation) const;
  void stop_parked(Session& session);
  void kick_slot(uint32_t slot);
  void let_go();

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    void taskFailed(kj::Exception&& exception) override;
  };
  struct Pinned {
    pid_t tid;
    std::vector<uint64_t> mask;
  };

  kj::AsyncIoContext& io_;
  BodyProcess process_;
  BodyLayout layout_;
  Objects objects_;
  Clocks clocks_;
  Phase phase_ = Phase::kFresh;
  bool parked_ = false;                // from park() to let_go_on()
  bool paused_ = false;                // by job control
  bool held_ = false;                  // until home comes, because memory is short
  std::map<uint32_t, Pinned> pinned_;  // by slot: what its thread has been given
  std::set<uint32_t> late_;            // slots whose thread is kicked once it exists
  Errors errors_;
  kj::TaskSet tasks_;
};

}  // namespace om::guest
