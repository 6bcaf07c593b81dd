// SPDX-License-Identifier: Apache-2.0
//
// The keeper of one guest: does what the deputy asks over the SESSION connection (session.capnp) with the body
// on this node. Long steps (build, fill, stop, collect) are queued and run one after the other on the top
// level, where they may wait; kicks, pings and job control are served at once.
#pragma once

#include <errno.h>
#include <kj/async-io.h>
#include <kj/debug.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/cpu/xstate.h"
#include "common/image/bulk.h"
#include "common/movable/verdict.h"
#include "common/proc/pagemap.h"
#include "common/schema/session.capnp.h"
#include "guest/body.h"
#include "guest/checks.h"
#include "guest/clocks.h"
#include "guest/home_link.h"
#include "guest/memory_watch.h"

namespace om::guest {

// How far the guest has come. Each call of the session has its place and is refused elsewhere.
enum class Phase { kFresh, kPrepared, kBuilt, kFilled, kRunning, kBroken };

// What om-migrator says of the guest.
struct KeeperOptions {
  Address home;
  uint8_t session[16], token[16];
  std::string launcher;
  std::string guest;      // PID@NODE at home, for ps
  uint64_t headroom = 0;  // bytes of memory that this node keeps for itself; 0: it is not watched
  uint64_t offered = 0;   // bytes that home has offered, and this node has admitted
};

// What a body uses, and how far its clock is.
struct Pulse {
  uint64_t cpu_ns = 0, rss_bytes = 0;
  uint32_t threads = 0;
  int64_t body_mono_ns = 0;
};

class Keeper {
 public:
  Keeper(kj::AsyncIoContext& io, const KeeperOptions& options);

  // Until the session has ended. Top level.
  void run();

  // What home's calls do (service.cc). Runs `job` on the top level; the promise resolves when it has returned. It is
  // left out if the session that asks for it ends before.
  kj::Promise<void> queue(std::function<void()> job);
  // A call of home's has come: the session is one that is served.
  void home_calls() { served_ = true; }
  // Steps of the way in, from one phase to the next; INTERNAL out of order. launch.cc, build.cc
  Step prepare(schema::BodySpec::Reader spec);
  Step build(schema::Image::Reader image);
  Step filled(uint64_t pages);
  Step commit(uint32_t epoch, int64_t home_mono, int64_t home_real);
  // Of the way back. collect.cc
  Step stop(uint32_t generation, bool look, schema::BodyImage::Builder state);
  Step collect(capnp::List<schema::Range>::Reader ranges, uint64_t& pages, uint64_t& bytes);
  Step resume();
  void kick(capnp::List<uint32_t>::Reader slots);
  void pause(bool on);
  void pin(uint32_t change, capnp::List<schema::ThreadCpus>::Reader threads);
  void end();
  // look.cc: keeps the body's clocks behind home's (ns); what the body uses and has reached.
  Pulse ping(int64_t home_mono, int64_t home_real);
  // Up to `bytes`; less if not all of it is readable. INTERNAL: the body has ended.
  Verdict<std::vector<std::byte>> peek(uint64_t address, size_t bytes) const;
  pid_t body_pid() const { return body_.pid(); }
  // Resolves to how it has ended.
  kj::Promise<std::string> body_ended() { return body_.ended(); }
  // Resolves to what is short when this node's memory is.
  kj::Promise<std::string> memory_short();
  // As if the network had cut the session; "channels", "session" or "all".
  void drop_session();
  void shut(const std::string& what);

 private:
  void wake();
  void begin_session();
  void end_session();
  // In a long step: lets the other tasks have their turn; an exception if the session has ended.
  void check_home();
  // For steps: the result of `promise`; an exception as soon as the session has ended.
  template <class T>
  T wait(kj::Promise<T>&& promise) {
    auto ended = session_end_.addBranch().then(
        []() -> kj::Promise<T> { return KJ_EXCEPTION(DISCONNECTED, "the session has ended"); });
    return promise.exclusiveJoin(kj::mv(ended)).wait(io_.waitScope);
  }

  bool is_running() const { return phase_ == Phase::kRunning; }
  // build.cc
  Step attempt(const std::function<Step()>& step);
  // A step of the way in: from one phase to the next, or to none.
  Step advance(Phase from, Phase to, const std::function<Step()>& step);
  // launch.cc
  Step prepare_body(schema::BodySpec::Reader spec);
  // False: the place of libom is taken in this process, in another it may be free.
  Verdict<bool> launch(schema::BodySpec::Reader spec);
  // build.cc
  Step build_body(schema::Image::Reader image);
  Step write_plan(schema::Image::Reader image);
  Step write_state(schema::Image::Reader image);
  Step write_threads(schema::Image::Reader image);
  Step make_threads(uint64_t pages);
  kj::Promise<void> fill();
  Step expect(uint32_t type, const char* what);
  Step open_channels(uint32_t count);
  // objects.cc
  Step make_objects(capnp::List<schema::MemoryObject>::Reader objects);
  // Where the object that has its view at [lo, hi) holds something, as Pagemap::runs.
  bool is_in_object(uint64_t lo, uint64_t hi) const;
  void add_object_places(std::vector<proc::Mapping>& maps) const;
  Result<std::vector<proc::PageRun>> object_runs(uint64_t lo, uint64_t hi) const;
  // collect.cc
  Step wait_parked(uint32_t generation);
  Step describe_thread(uint32_t slot, const BodyThread& t, schema::Thread::Builder to);
  Step send_pages(capnp::List<schema::Range>::Reader ranges, uint64_t& pages, uint64_t& bytes);
  Step let_go_on();
  void renew_bulk();
  void end_pages();
  void kick_slot(uint32_t slot);
  void stop_parked_body();
  // keeper.cc
  void write_clock();
  void send_channel(uint32_t slot);
  void hold_body();
  void let_body_go();
  void connect_channel(uint32_t slot);
  void cannot_connect(const kj::Exception& exception);
  kj::Promise<void> serve_session();
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect_session();
  kj::Promise<void> nobody_serves();
  bool home_is_lost() const;

  uint64_t thread_address(uint32_t slot) const {
    return slot_address(bounds_.arena, slot) + kSlotBlock;
  }
  Result<BodyThread> thread(uint32_t slot) const {
    if (!body_.has_memory()) return Error{ESRCH, "the body has ended"};
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
  std::string launcher_, guest_;
  uint64_t offered_;
  std::optional<MemoryWatch> memory_watch_;  // none: this node's memory is not watched
  Body body_;
  kj::Own<kj::AsyncIoStream> session_, bulk_;

  // of the body
  Bounds bounds_;
  uint32_t epoch_ = 0;
  std::vector<LaunchSegment> segments_;
  XstateLayout home_xstate_{}, local_xstate_{};
  Clocks clocks_;
  Phase phase_ = Phase::kFresh;
  bool parked_ = false;                                  // since stop(), until resume()
  bool paused_ = false, ending_ = false, busy_ = false;  // busy: in a step
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
  uint64_t filled_pages_ = 0, most_pages_ = 0;
  kj::Promise<void> filling_ = nullptr;
  std::optional<Reason> fill_failed_;
  std::string cannot_connect_;                       // why, as long as it lasts
  bool served_ = false;                              // the session that there is, by home
  std::chrono::steady_clock::time_point home_seen_;  // when there was one last
  uint32_t in_vain_ = 0;                             // sessions since, which nobody has served
  int session_fd_ = -1;
  struct Pinned {
    pid_t tid;
    std::vector<uint64_t> mask;
  };
  std::map<uint32_t, Pinned> pinned_;  // by slot: what the thread there has been given
  std::set<uint32_t> asked_;           // slots that a channel is being made for
  std::set<uint32_t> late_;            // slots whose thread is kicked when it is there
  uint32_t channel_credit_ = 0;
  std::chrono::steady_clock::time_point credit_since_{};

  struct Job {
    uint32_t session;
    std::function<void()> run;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };
  std::deque<Job> jobs_;
  uint32_t sessions_ = 0;
  bool session_over_ = true;
  kj::Own<kj::PromiseFulfiller<void>> session_ended_;
  kj::ForkedPromise<void> session_end_ = nullptr;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> job_arrived_;
  Errors errors_;
  kj::TaskSet tasks_{errors_};
};

}  // namespace om::guest
