// SPDX-License-Identifier: Apache-2.0
//
// A simulated cluster: the shipped load tables, smoothing, policies, admission and trust (balance/) on every node, in
// discrete time from event to event. Around them are ideal things: who is a member everybody knows, a dead node after
// some seconds. Messages take the network's delay; datagrams are lost as it says. Everything follows from scenario,
// settings and seed.
//
// A move through home is two moves. What dies with a node: jobs whose home it is. Its guests go on at their homes, from
// where they were when they left.
#pragma once

#include <stdint.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "balance/admission.h"
#include "balance/load_table.h"
#include "balance/policy.h"
#include "balance/smoothing.h"
#include "balance/trust.h"
#include "sim/events.h"
#include "sim/processor.h"
#include "sim/scenario.h"

namespace om::sim {

struct Settings {
  balance::Policy policy = balance::Policy::kFlow;
  bool placement = true;  // of jobs at their start, if the policy has one
  bool moving = true;     // off: only placement
  bool asking = true;     // off: targets take what comes, to see what that costs
  balance::Constants constants{};
  uint64_t seed = 1;
  double most_s = 1e6;  // ends the simulation whatever still runs
  std::function<void(double now_s, const std::string& line)> explain{};
};

enum class JobState : uint8_t { kComing, kStarting, kRunning, kFrozen, kEnded, kLost };

struct Job {
  JobState state = JobState::kComing;
  bool moving = false;  // asked for or under way
  bool placed = false;  // started elsewhere
  size_t at = 0;        // where it runs or goes
  size_t from = 0;      // frozen: where it comes from
  double done = 0;      // work, without what it did where it runs
  double kept = 0;      // work done when it last left home: what a lost node leaves of it
  double ended_s = 0;
  double arrived_s = -1e9;
  double last_move_s = 0;
  double frozen_s = 0;     // in all moves
  double measured_s = -1;  // when its progress was last compared with promises; -1: not yet
  double measured_done = 0;
  unsigned moves = 0;
  std::vector<double> moved_s{};  // of the last minute
};

struct Totals {
  uint64_t asked = 0;
  uint64_t busy = 0;
  uint64_t moves = 0;
  uint64_t placements = 0;
  uint64_t datagrams = 0;
  uint64_t bytes = 0;  // of loads, with what seal, UDP and IP add
  uint64_t events = 0;
  double age_sum = 0;  // of entries that decisions saw
  uint64_t ages = 0;
};

class World {
 public:
  World(const Scenario& scenario, Settings settings);

  // Until all jobs have ended or are lost, or the settings' limit.
  void run();
  double now() const { return now_; }
  const std::vector<Job>& jobs() const { return jobs_; }
  const Totals& totals() const { return totals_; }

 private:
  struct Node {
    Node(const NodeSpec& spec, size_t number, const balance::Constants& constants);

    Processor processor;
    balance::LoadMean mean{};
    balance::MosixLoad mosix{};
    balance::LoadTable table;
    balance::Trust trust;
    balance::PolicyState state{};
    std::vector<uint32_t> here{};  // running jobs
    std::vector<uint32_t> away{};  // own jobs elsewhere, those under way too
    balance::LoadEntry told{};     // what it last told to the homes of its guests
    double told_s = 0;
    double arriving = 0;  // threads under way to here
    unsigned departures = 0;
    unsigned asking = 0;    // asks of the last decision without an answer
    bool accepted = false;  // one of them was
    double departed_s = -1e9;
    uint64_t end_version = 0;
    double ends_s = kNever;
    bool up = false;
    bool member = false;
    bool drained = false;
  };
  // A move that is asked for.
  struct Asked {
    uint32_t job = 0;
    size_t asker = 0;  // the home
    size_t from = 0;   // where it runs; the home for a job that is to be started
    size_t to = 0;
    unsigned tries = 0;  // of a start
    balance::Move move{};
    balance::Ask ask{};
  };

  // world.cc
  void happen(const Event& event);
  void set_up(size_t node);
  void sample(size_t node);
  void tell(size_t node);
  void run_here(uint32_t job, size_t node);
  void stop_here(uint32_t job, bool known);
  void changed(size_t node);
  void finish(size_t node);
  void say(const std::string& line) const;

  // decisions.cc
  balance::NodeLoad self_of(size_t node);
  balance::View view_of(size_t node);
  balance::ProcessLoad load_of_job(size_t node, uint32_t job);
  void decide(size_t node);
  void add_away(size_t node, balance::View& view, std::vector<balance::NodeLoad>& places);
  void add_homes(size_t node, balance::View& view) const;
  balance::LoadEntry entry_of(size_t node);
  balance::NodeLoad told_by(size_t node) const;
  bool talks(uint32_t job, size_t node) const;
  void measure(size_t node);
  void relieve(const Event& event);
  void request(Asked asked);
  void arrive(uint32_t job);
  void start(uint32_t job, unsigned tries);
  void say_move(const char* what, uint32_t job, size_t to, const balance::Move& move) const;

  // moves.cc
  void ask(const Event& event);
  void answer(const Event& event);
  void give_up(uint32_t job);
  void depart(uint32_t job, size_t to, bool reserved);
  void freeze(uint32_t job, size_t from, size_t to, double seconds);
  void lose(uint32_t job);
  void release(const Asked& asked);
  void asked_from_gone(const Asked& asked);
  void forget_away(uint32_t job);
  void come(uint32_t job);
  void die(size_t node);
  void drain(size_t node);
  void notice(size_t node);

  NodeId id(size_t node) const { return NodeId{node + 1}; }
  size_t number(NodeId node) const { return static_cast<size_t>(static_cast<uint64_t>(node)) - 1; }
  double chance() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  const JobSpec& spec(uint32_t job) const { return scenario_.jobs[job]; }
  double call_factor(uint32_t job, size_t node) const;
  size_t any_member(size_t except);

  const Scenario& scenario_;
  Settings settings_;
  std::mt19937_64 random_;
  balance::Random draw_;
  Events events_;
  double now_ = 0;
  std::vector<Node> nodes_;
  std::vector<Job> jobs_;
  std::vector<size_t> members_;
  std::vector<std::string> datagrams_;  // under way
  std::vector<Asked> asked_;            // likewise
  std::vector<uint32_t> free_datagrams_;
  std::vector<uint32_t> free_asked_;
  size_t left_ = 0;  // jobs that have not ended
  size_t next_job_ = 0;
  Totals totals_{};
};

}  // namespace om::sim
