// SPDX-License-Identifier: Apache-2.0
//
// The keeper of one guest: does what the deputy asks over the SESSION connection (session.capnp) with the body
// on this node. Long steps (build, fill, stop, collect) are queued and run one after the other on the top
// level, where they may wait; kicks, pings and job control are served at once.
#pragma once

#include <kj/async-io.h>

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/bulk.h"
#include "common/proc/pagemap.h"
#include "common/schema/session.capnp.h"
#include "common/xstate.h"
#include "migrator/guest/body.h"
#include "migrator/guest/checks.h"
#include "migrator/guest/clocks.h"
#include "migrator/guest/home_link.h"
#include "migrator/guest/memory_room.h"
#include "migrator/guest/outcome.h"

namespace om::guest {

// Why a step did not succeed: a reason code and a message. Empty code: it did.
class Keeper {
 public:
  Keeper(kj::AsyncIoContext& io, const Address& home, const uint8_t (&session)[16],
         const uint8_t (&token)[16], std::string launcher, uint64_t headroom);

  // Until the session has ended. Top level.
  void run();

 private:
  friend class KeeperService;

  // Runs `job` on the top level; the promise resolves when it has returned.
  kj::Promise<void> queue(std::function<void()> job);

  // build.cc
  Outcome attempt(const std::function<Outcome()>& step);
  // launch.cc
  Outcome prepare(schema::BodySpec::Reader spec);
  Outcome launch(schema::BodySpec::Reader spec);
  // build.cc
  Outcome build(schema::Image::Reader image);
  Outcome write_plan(schema::Image::Reader image);
  Outcome write_state(schema::Image::Reader image);
  Outcome write_threads(schema::Image::Reader image);
  Outcome filled(uint64_t pages);
  Outcome commit(uint32_t epoch, int64_t home_mono, int64_t home_real);
  kj::Promise<void> fill();
  Outcome expect(uint32_t type, const char* what);
  Outcome open_channels(uint32_t count);
  // objects.cc
  Outcome make_objects(capnp::List<schema::MemoryObject>::Reader objects);
  // Where the object that has its view at [lo, hi) holds something, as Pagemap::runs.
  bool is_in_object(uint64_t lo, uint64_t hi) const;
  Result<std::vector<proc::PageRun>> object_runs(uint64_t lo, uint64_t hi) const;
  // collect.cc
  Outcome stop(uint32_t generation, bool look, schema::BodyImage::Builder state);
  Outcome wait_parked(uint32_t generation);
  Outcome describe_thread(uint32_t slot, const BodyThread& t, schema::Thread::Builder to);
  Outcome collect(capnp::List<schema::Range>::Reader ranges, uint64_t& pages, uint64_t& bytes);
  Outcome resume();
  void renew_bulk();
  void end_pages();
  // keeper.cc
  void kick(capnp::List<uint32_t>::Reader slots);
  void kick_slot(uint32_t slot);
  void stop_parked_body();
  void pause(bool on);
  void write_clock();
  void send_channel(uint32_t slot);
  // Resolves to what is short when this node's memory is.
  kj::Promise<std::string> memory_short();
  void hold_body();
  void let_body_go();
  void connect_channel(uint32_t slot);
  void cannot_connect(const kj::Exception& exception);
  kj::Promise<void> serve_session();
  void shut(const std::string& what);

  uint64_t thread_address(uint32_t slot) const {
    return slot_address(bounds_.arena, slot) + kSlotBlock;
  }
  Result<BodyThread> thread(uint32_t slot) const {
    return body_.memory().get<BodyThread>(thread_address(slot));
  }
  template <class T>
  Result<void> put_state(size_t offset, const T& value) const {
    return body_.memory().put(bounds_.body_state + offset, value);
  }

  class Errors final : public kj::TaskSet::ErrorHandler {
   public:
    void taskFailed(kj::Exception&& exception) override;
  };

  kj::AsyncIoContext& io_;
  HomeLink link_;
  std::string launcher_;
  uint64_t
      headroom_;  // bytes of memory that this node keeps for itself; 0: its memory is not watched
  std::vector<CgroupMount> memory_mounts_;
  Body body_;
  kj::Own<kj::AsyncIoStream> session_, bulk_;

  // of the body
  Bounds bounds_;
  uint32_t epoch_ = 0;
  std::vector<LaunchSegment> segments_;
  XstateLayout home_xstate_{}, local_xstate_{};
  Clocks clocks_;
  bool running_ = false, paused_ = false, ending_ = false;
  bool held_ = false;  // stopped until home comes, because memory is short
  uint64_t stack_lo_ = 0, stack_hi_ = 0;
  struct Object {
    UniqueFd fd;
    uint64_t view, bytes;
  };
  std::vector<Object> objects_;
  BulkPlaces places_;  // where pages may go
  BulkHeader frame_{};
  kj::Array<kj::byte> frame_data_ = kj::heapArray<kj::byte>(kBulkMaxBytes);
  uint64_t filled_pages_ = 0;
  kj::Promise<void> filling_ = nullptr;
  std::optional<Outcome> fill_failed_;
  std::string cannot_connect_;  // why, as long as it lasts
  std::set<uint32_t> asked_;    // slots that a channel is being made for
  uint32_t channel_credit_ = 0;
  std::chrono::steady_clock::time_point credit_since_{};

  std::deque<std::pair<std::function<void()>, kj::Own<kj::PromiseFulfiller<void>>>> jobs_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> job_arrived_;
  Errors errors_;
  kj::TaskSet tasks_{errors_};
};

}  // namespace om::guest
