// SPDX-License-Identifier: Apache-2.0
//
// Moves one process: away (depart), home again (come_home), and whatever happens in between. The state of a
// migration lives here; the steps are in depart.cc, describe.cc, ship.cc, homecoming.cc, watch.cc and reach.cc.
//
// Runs on the KJ loop's top level: steps wait for the keeper with promise.wait(), while tasks (kicks from
// home, accepted connections, job control) go on. Everything between stop and detach of the home process is
// synchronous but for the keeper's answers.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <sys/resource.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/unique_fd.h"
#include "common/cpu/xstate.h"
#include "common/movable/preflight.h"
#include "common/movable/verdict.h"
#include "common/schema/session.capnp.h"
#include "deputy/home/arena.h"
#include "deputy/home/ask.h"
#include "deputy/home/executors.h"
#include "deputy/home/home_session.h"
#include "deputy/home/home_side.h"
#include "deputy/home/thread_plans.h"
#include "deputy/home/threads_back.h"
#include "deputy/memory/address_space.h"
#include "deputy/memory/files.h"
#include "deputy/memory/objects.h"
#include "deputy/moves/body_threads.h"
#include "deputy/session/session.h"
#include "deputy/session/surroundings.h"
#include "deputy/session/watch.h"

namespace om::deputy {

// Is it a reason that keeps a process from standing still and may go by itself (takeover.cc).
bool is_in_the_way(ReasonCode code);

// What `om migrate --json` prints.
struct MoveRecord {
  pid_t pid = 0;
  std::string from, to;
  std::string mode = "eager";
  double freeze_ms = 0, total_ms = 0;
  uint64_t bytes_raw = 0, bytes_wire = 0, pages = 0, threads = 0;
  std::string result = "failed";  // moved, refused, failed
  std::optional<Reason> reason;   // why it was not moved

  // What it came to, after `took`.
  void conclude(const Step& done, std::chrono::steady_clock::duration took);
  nlohmann::json to_json() const;
};

class Mover {
 public:
  Mover(kj::AsyncIoContext& io, pid_t pid, std::string home_node, const Address& listen,
        Surroundings around);
  ~Mover() noexcept(false);

  // Preconditions for all three: called on the top level, one at a time.
  MoveRecord depart(const std::string& to);
  MoveRecord come_home();
  // An earlier deputy died and left the process at `at`, or (moving) on its way. KJ exception if it cannot be
  // taken over now.
  void take_over(const std::string& at, const SessionKeys& keys, bool moving);
  // For another daemon: where the process is, and what it needs for the process to be taken over.
  void report() const;
  // Backtraces of all threads, wherever they run: what `om stack --json` prints, or result, code and message of
  // a failure. The process stands still meanwhile and goes on in any case.
  nlohmann::json stack();
  // Forwarded calls from number `cursor` on, and the counts: what `om trace` asks for again and again. Executors write
  // them down from the first question on and until nobody has asked for two seconds.
  nlohmann::json trace(uint64_t cursor);
  // Looks after what tasks have noticed: requests to come home, a lost keeper, the end of the process.
  void attend();

  // After a return: the mover can be used for another departure.
  void start_over() { finished_ = false; }

  bool away() const { return away_; }
  // The process has ended, or is home and native: nothing is left to do.
  bool finished() const { return finished_; }
  // Resolves when attend() should be called.
  kj::Promise<void> something_happened() { return notice_.wait(); }
  void cut(const std::string& what);

 private:
  // depart.cc
  Step depart_steps(const std::string& to, MoveRecord& record);
  Step depart_once(const std::string& to, MoveRecord& record);
  bool is_replaced() const;
  Step look_again(const ProcessReport& before);
  Verdict<StoppedProcess> stop_for_departure(const ProcessReport& before);
  Result<nlohmann::json> make_offer(const proc::Status& status, uint32_t threads) const;
  Step call_keeper(const std::string& to, nlohmann::json offer);
  Step describe_libom(schema::BodySpec::Builder spec);
  Step prepare_keeper(const std::string& to);
  Step ship_frozen(StoppedProcess& stop, MoveRecord& record);
  void let_stay(StoppedProcess& stop);
  Step connect_home(StoppedProcess& stop);
  Step hand_call_over(StoppedProcess& stop, StoppedThread& t, const ThreadPlan& plan);
  Step send_home_away(StoppedProcess& stop);
  Step commit();
  void undo_home(StoppedProcess& stop);

  // describe.cc
  void describe(schema::Image::Builder image);

  // homecoming.cc
  Step come_home_steps(MoveRecord& record);
  Verdict<ReturningThreads> read_body(schema::BodyImage::Reader body);
  Step wait_for_calls(const std::vector<ThreadState>& states);
  Step restore_memory_around(StoppedProcess& stop, schema::BodyImage::Reader body,
                             MoveRecord& record);
  Step restore_memory(StoppedProcess& stop, schema::BodyImage::Reader body, MoveRecord& record);
  Step roll_back(const std::string& why);

  // stack.cc
  Step stack_of_body(nlohmann::json& threads);
  Step stack_at_home(nlohmann::json& threads);

  void stop_tracing();

  // takeover.cc
  void is_at_home(std::string_view why);
  Step take_over_steps(const std::string& at, const SessionKeys& keys, bool moving);
  Step meet_executors();
  Step complete_return();
  Step complete_return_once();
  Step recall_plans(StoppedProcess& stop);
  Step put_stepped_mask_back();
  void end_parked_body();

  // watch.cc
  void make_watch();
  void look_after_files(bool write_files_back);
  void keeper_is_lost();
  Step wait_for_keeper();
  void disconnect();

  kj::AsyncIoContext& io_;
  std::string home_node_;
  Surroundings around_;
  Notice notice_;  // something for attend()
  Session session_;
  HomeSide home_;
  ProcessReport report_;  // of the process that stands
  AddressSpace space_;
  MemoryObjects objects_;
  SharedFiles files_;
  ThreadPlans plans_;
  Settings settings_;
  XstateLayout xstate_layout_{};
  static constexpr int kInheritedLimits[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK};
  rlimit limits_[std::size(kInheritedLimits)] = {};  // as the body has been told
  bool outdated_ = false;  // what was prepared does not fit the program as it stands
  std::chrono::steady_clock::time_point traced_{};  // last question of om trace; none: not tracing
  std::string at_;
  bool away_ = false;
  bool finished_ = false;
  UniqueFd pidfd_;
  kj::Own<Watch> watch_;  // while the process is away
};

}  // namespace om::deputy
