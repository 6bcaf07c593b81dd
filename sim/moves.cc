// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a request to move: answers, frozen processes, nodes that go in between.
#include <algorithm>

#include "sim/world.h"

namespace om::sim {
namespace {

constexpr double kNoticed = 4;     // seconds until everybody knows that a node is dead
constexpr double kUnanswered = 1;  // a question to a dead node

}  // namespace

void World::ask(const Event& event) {
  Asked& asked = asked_[event.a];
  Node& target = nodes_[asked.to];
  if (!target.up) {
    const auto dead = static_cast<uint64_t>(balance::Against::kUnreachable);
    return events_.add(now_ + kUnanswered, Happens::kAnswer, event.a, dead);
  }
  const balance::Against against =
      balance::admit(self_of(asked.to), asked.ask, settings_.constants);
  if (against == balance::Against::kNothing) {
    target.arriving += asked.ask.threads;
    target.processor.reserve(now_, asked.ask.resident_bytes);
    changed(asked.to);
  }
  events_.add(now_ + scenario_.network.delay_s, Happens::kAnswer, event.a,
              static_cast<uint64_t>(against));
}

void World::release(const Asked& asked) {
  Node& target = nodes_[asked.to];
  if (!target.up) return;
  target.arriving = std::max(0.0, target.arriving - asked.ask.threads);
  target.processor.reserve(now_, -asked.ask.resident_bytes);
  changed(asked.to);
}

void World::answer(const Event& event) {
  const Asked asked = asked_[event.a];
  free_asked_.push_back(event.a);
  const auto against = static_cast<balance::Against>(event.b);
  const bool yes = against == balance::Against::kNothing;
  Node& asker = nodes_[asked.asker];
  Node& target = nodes_[asked.to];
  if (target.up) {
    target.table.set_own(entry_of(asked.to));
    asker.table.learn(now_, target.table.state());
  }
  Job& job = jobs_[asked.job];
  totals_.busy += !yes;
  const bool starts = job.state == JobState::kStarting;
  const bool waits =
      starts || (job.state == JobState::kRunning && job.moving && job.at == asked.from);
  const bool goes = yes && waits && target.up && asker.up;
  if (!goes) asker.trust.gone(id(asked.to));
  if (yes && !goes) release(asked);
  if (!yes) say_move(std::string(balance::text(against)).c_str(), asked.job, asked.to, asked.move);
  if (!asker.up) {
    if (starts) lose(asked.job);
  } else if (starts && yes && target.up) {
    ++totals_.placements;
    job.placed = true;
    asker.away.push_back(asked.job);
    say_move("starts on", asked.job, asked.to, asked.move);
    freeze(asked.job, asked.asker, asked.to, scenario_.network.link.move_fixed_s);
  } else if (starts) {
    start(asked.job, asked.tries + 1);
  } else if (yes && waits && target.up) {
    asker.accepted = true;
    say_move("moves to", asked.job, asked.to, asked.move);
    depart(asked.job, asked.to, true);
  } else if (waits) {
    give_up(asked.job);
  } else {
    asked_from_gone(asked);
  }
  if (starts || asked.from != asked.asker || asker.asking == 0 || --asker.asking > 0) return;
  if (std::exchange(asker.accepted, false) && settings_.policy == balance::Policy::kFlow)
    events_.add(now_, Happens::kDecide, static_cast<uint32_t>(asked.asker), 1);
}

// The job has ended, or its node is dead, while the question was under way.
void World::asked_from_gone(const Asked& asked) {
  Node& from = nodes_[asked.from];
  if (from.departures > 0) --from.departures;
}

void World::give_up(uint32_t which) {
  Job& job = jobs_[which];
  Node& from = nodes_[job.at];
  if (from.departures > 0) --from.departures;
  job.moving = false;
}

void World::forget_away(uint32_t which) { std::erase(nodes_[spec(which).home].away, which); }

// `reserved`: the target has counted it already.
void World::depart(uint32_t which, size_t to, bool reserved) {
  Job& job = jobs_[which];
  const size_t from = job.at, home = spec(which).home;
  const bool unmeasured = from != home && job.measured_s < 0;
  stop_here(which, true);
  job.kept = job.done;
  ++job.moves;
  ++totals_.moves;
  job.moved_s.push_back(now_);
  nodes_[from].departed_s = now_;
  if (from == home) nodes_[home].away.push_back(which);
  if (unmeasured) nodes_[home].trust.gone(id(from));
  if (!reserved) {
    nodes_[to].arriving += spec(which).threads;
    nodes_[to].processor.reserve(now_, spec(which).bytes);
    changed(to);
  }
  const unsigned hops = from != home && to != home ? 2 : 1;
  freeze(which, from, to, balance::move_seconds(scenario_.network.link, spec(which).bytes, hops));
}

void World::freeze(uint32_t which, size_t from, size_t to, double seconds) {
  Job& job = jobs_[which];
  job.state = JobState::kFrozen;
  job.from = from;
  job.at = to;
  job.last_move_s = seconds;
  job.frozen_s += seconds;
  events_.add(now_ + seconds, Happens::kCome, which);
}

void World::come(uint32_t which) {
  Job& job = jobs_[which];
  const size_t home = spec(which).home;
  if (job.state != JobState::kFrozen) return;
  const bool counted = !job.placed || job.moves > 0;  // a start is no departure
  if (counted && nodes_[job.from].departures > 0) --nodes_[job.from].departures;
  if (!nodes_[home].up) return lose(which);
  Node& target = nodes_[job.at];
  if (target.up) {
    target.arriving = std::max(0.0, target.arriving - spec(which).threads);
    target.processor.reserve(now_, -spec(which).bytes);
  } else {
    say("job " + std::to_string(which) + " goes on at home: " + scenario_.nodes[job.at].name +
        " was lost");
    job.at = home;
  }
  if (job.at == home) forget_away(which);
  job.arrived_s = now_;
  run_here(which, job.at);
}

void World::lose(uint32_t which) {
  Job& job = jobs_[which];
  job.state = JobState::kLost;
  job.ended_s = now_;
  --left_;
  forget_away(which);
  say("job " + std::to_string(which) + " is lost with its home");
}

void World::die(size_t place) {
  Node& node = nodes_[place];
  if (!node.up) return;
  say(scenario_.nodes[place].name + " dies");
  for (const uint32_t which : std::vector<uint32_t>(node.here)) {
    Job& job = jobs_[which];
    stop_here(which, true);
    if (spec(which).home == place) {
      lose(which);
      continue;
    }
    job.done = job.kept;
    job.moving = false;
    job.state = JobState::kFrozen;
    job.from = place;
    events_.add(now_ + kNoticed, Happens::kCome, which);
  }
  node.up = false;
  events_.add(now_ + kNoticed, Happens::kNotice, static_cast<uint32_t>(place));
}

void World::notice(size_t place) {
  nodes_[place].member = false;
  std::erase(members_, place);
  for (Node& node : nodes_) {
    node.table.forget(id(place));
    node.trust.forget(id(place));
  }
  for (const uint32_t which : std::vector<uint32_t>(nodes_[place].away)) {
    if (jobs_[which].state != JobState::kRunning) continue;
    stop_here(which, true);
    lose(which);
  }
}

void World::drain(size_t place) {
  say(scenario_.nodes[place].name + " is drained");
  nodes_[place].drained = true;
}

}  // namespace om::sim
