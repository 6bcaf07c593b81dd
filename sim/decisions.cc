// SPDX-License-Identifier: Apache-2.0
//
// What the simulated nodes decide from, and whom they ask.
#include <stdio.h>

#include <algorithm>

#include "sim/world.h"

namespace om::sim {
namespace {

// Home looks by itself at what is away only if calls make it so much slower.
constexpr double kTalks = 1.15;
constexpr double kMeasuredEvery = 5;    // seconds
constexpr double kShareSeconds = 2.13;  // MOSIX keeps 5/8 of a process's load each second
constexpr unsigned kTries = 6;          // nodes that are asked to take a job at its start

}  // namespace

balance::LoadEntry World::entry_of(size_t number) {
  Node& node = nodes_[number];
  balance::LoadEntry entry;
  entry.node = id(number);
  entry.k = node.mean.mean(now_) + node.arriving;
  entry.told = node.mosix.told() + node.arriving;
  entry.machine = node.processor.machine();
  entry.free_bytes = node.processor.free_bytes();
  entry.total_bytes = node.processor.total_bytes();
  entry.feature_class = scenario_.nodes[number].feature_class;
  entry.flags = node.drained ? balance::kFlagDrain : 0;
  if (!scenario_.nodes[number].lies) return entry;
  entry.k = entry.told = 0;
  entry.machine = {64, 64, 4};
  entry.free_bytes = entry.total_bytes = 1e12;
  return entry;
}

balance::NodeLoad World::self_of(size_t number) {
  balance::NodeLoad load = load_of(entry_of(number));
  load.told = nodes_[number].mosix.own();
  load.link = scenario_.network.link;
  return load;
}

balance::NodeLoad World::told_by(size_t number) const {
  const Node& node = nodes_[number];
  balance::NodeLoad load = load_of(node.told);
  load.age_s = now_ - node.told_s;
  load.link = scenario_.network.link;
  return load;
}

balance::View World::view_of(size_t number) {
  Node& node = nodes_[number];
  balance::View view;
  view.constants = &settings_.constants;
  view.self = self_of(number);
  view.cluster_size = members_.size();
  view.departures = node.departures;
  view.since_departure_s = now_ - node.departed_s;
  view.headroom_bytes = settings_.constants.headroom_share * node.processor.total_bytes();
  view.missing_bytes =
      node.processor.used_bytes() + view.headroom_bytes - node.processor.total_bytes();
  if (settings_.policy == balance::Policy::kTwoChoices) {
    // It asks the two that it looks at.
    for (int i = 0; i < 2 && members_.size() > 1; ++i) {
      const size_t other = any_member(number);
      if (nodes_[other].up) view.others.push_back(self_of(other));
    }
    if (view.others.size() == 2 && view.others[0].node == view.others[1].node)
      view.others.pop_back();
    return view;
  }
  view.others.reserve(node.table.known().size() + 4);
  for (const balance::LoadTable::Known& known : node.table.known()) {
    totals_.age_sum += now_ - known.made_s;
    ++totals_.ages;
    if (now_ - known.made_s > settings_.constants.oldest_entry_s) continue;
    view.others.push_back(load_of(known, now_));
    view.others.back().trusted = node.trust.may_send(known.entry.node, now_);
    view.others.back().link = scenario_.network.link;
  }
  return view;
}

// The homes of guests tell the nodes where these are, too.
void World::add_homes(size_t number, balance::View& view) const {
  for (const uint32_t job : nodes_[number].here) {
    const size_t home = spec(job).home;
    if (home == number || !nodes_[home].up) continue;
    const bool there = std::any_of(view.others.begin(), view.others.end(),
                                   [&](const auto& other) { return other.node == id(home); });
    if (!there) view.others.push_back(told_by(home));
  }
}

balance::ProcessLoad World::load_of_job(size_t number, uint32_t which) {
  Job& job = jobs_[which];
  const JobSpec& what = spec(which);
  const Node& place = nodes_[job.at];
  std::erase_if(job.moved_s,
                [&](double when) { return now_ - when > settings_.constants.backoff_window_s; });
  balance::ProcessLoad load;
  load.id = {static_cast<pid_t>(which + 1), 1};
  load.home = id(what.home);
  load.threads = what.threads;
  load.resident_bytes = what.bytes;
  load.age_s = now_ - what.arrives_s;
  load.cpu_age_s = job.done + place.processor.done_here(now_, which);
  if (settings_.policy == balance::Policy::kMosix) {
    const double share =
        balance::promised_share(place.processor.machine(), place.processor.threads());
    load.cpu_share =
        share * std::min(1.0, (now_ - std::max(job.arrived_s, what.arrives_s)) / kShareSeconds);
  }
  const bool known = number == what.home && (job.moves > 0 || job.placed);
  load.calls_per_cpu_s = known ? what.calls_per_cpu_s : what.guessed_calls;
  // Who was started elsewhere has not been moved.
  if (job.moves > 0) load.since_arrival_s = now_ - job.arrived_s;
  load.last_move_s = job.last_move_s;
  load.recent_moves = static_cast<double>(job.moved_s.size());
  load.moving = job.moving;
  return load;
}

bool World::talks(uint32_t job, size_t node) const {
  return jobs_[job].state == JobState::kRunning && !jobs_[job].moving && nodes_[jobs_[job].at].up &&
         call_factor(job, jobs_[job].at) >= kTalks && jobs_[job].at != node;
}

void World::add_away(size_t number, balance::View& view, std::vector<balance::NodeLoad>& places) {
  places.reserve(nodes_[number].away.size());
  for (const uint32_t job : nodes_[number].away) {
    if (!talks(job, number)) continue;
    places.push_back(told_by(jobs_[job].at));
    view.processes.push_back(load_of_job(number, job));
    view.processes.back().at = &places.back();
    view.processes.back().only_home = true;
  }
}

// Compares what own processes got elsewhere with what was promised.
void World::measure(size_t number) {
  for (const uint32_t which : nodes_[number].away) {
    Job& job = jobs_[which];
    if (job.state != JobState::kRunning || !nodes_[job.at].up) continue;
    const bool first = job.measured_s < 0;
    const double since = first ? job.arrived_s : job.measured_s;
    if (now_ - since < (first ? settings_.constants.judged_after_s : kMeasuredEvery)) continue;
    const Node& place = nodes_[job.at];
    const double done = place.processor.done_here(now_, which);
    const double before = first ? 0 : job.measured_done;
    const double cpu =
        (done - before) * call_factor(which, job.at) / place.processor.machine().speed;
    const double promised =
        balance::promised_share(place.told.machine, place.told.k) * (now_ - since);
    nodes_[number].trust.measured(id(job.at), now_, cpu, promised * spec(which).threads, first);
    job.measured_s = now_;
    job.measured_done = done;
  }
}

void World::decide(size_t number) {
  Node& node = nodes_[number];
  measure(number);
  if (!settings_.moving) return;
  const auto talking = [&](uint32_t job) { return talks(job, number); };
  if (node.here.empty() && std::none_of(node.away.begin(), node.away.end(), talking)) return;
  balance::View view = view_of(number);
  std::vector<balance::NodeLoad> places;
  for (const uint32_t job : node.here) view.processes.push_back(load_of_job(number, job));
  if (settings_.policy == balance::Policy::kFlow) {
    add_homes(number, view);
    add_away(number, view, places);
  }
  const balance::Decision decision =
      node.drained ? send_guests_away(view, balance::Cause::kDrain, draw_)
                   : balance::decide(settings_.policy, view, node.state, draw_);
  for (const balance::Move& move : decision.moves) {
    const balance::ProcessLoad& process = view.processes[move.process];
    const auto job = static_cast<uint32_t>(process.id.pid - 1);
    jobs_[job].moving = true;
    ++nodes_[jobs_[job].at].departures;
    if (process.at != nullptr) {
      say_move("comes home", job, number, move);
      depart(job, number, false);
    } else if (spec(job).home == number) {
      ++node.asking;
      request({job, number, number, this->number(move.to), 0, move,
               ask_for(process, move, asks_target(settings_.policy) && settings_.asking)});
    } else {
      events_.add(now_ + scenario_.network.delay_s, Happens::kRelieve, job, this->number(move.to));
    }
  }
}

// A node asks the home of a guest to take it elsewhere: home judges by what it knows itself.
void World::relieve(const Event& event) {
  const uint32_t which = event.a;
  Job& job = jobs_[which];
  const size_t home = spec(which).home, from = job.at;
  if (job.state != JobState::kRunning || !nodes_[home].up || !nodes_[from].up || !job.moving)
    return give_up(which);
  balance::View view = view_of(home);
  view.departures = 0;
  const balance::NodeLoad place = self_of(from);
  view.processes = {load_of_job(home, which)};
  view.processes[0].at = &place;
  view.processes[0].moving = false;
  const balance::LoadTable::Known* suggested = nodes_[from].table.find(id(event.b));
  if (suggested != nullptr && nodes_[home].table.find(id(event.b)) == nullptr && event.b != home)
    view.others.push_back(load_of(*suggested, now_));
  balance::Move move{0, id(event.b), balance::Cause::kLoad, {}};
  bool judged = false;
  if (nodes_[from].drained) {
    move.cause = balance::Cause::kDrain;
  } else if (settings_.policy == balance::Policy::kFlow) {
    const balance::Decision decision =
        balance::decide(settings_.policy, view, nodes_[home].state, draw_);
    if (decision.moves.empty()) return give_up(which);
    move = decision.moves[0];
    judged = settings_.asking;
  }
  if (number(move.to) == home) {
    say_move("is sent home", which, home, move);
    return depart(which, home, false);
  }
  request({which, home, from, number(move.to), 0, move, ask_for(view.processes[0], move, judged)});
}

void World::arrive(uint32_t which) {
  if (which + 1 < jobs_.size())
    events_.add(std::max(now_, spec(which + 1).arrives_s), Happens::kArrive, which + 1);
  if (!nodes_[spec(which).home].up) return lose(which);
  start(which, 0);
}

void World::start(uint32_t which, unsigned tries) {
  const size_t home = spec(which).home;
  const balance::NewJob job{spec(which).threads, spec(which).bytes, 0, nullptr};
  std::optional<balance::Move> move;
  if (settings_.placement && tries < kTries) {
    const balance::View view = view_of(home);
    move = balance::place(settings_.policy, view, job, nodes_[home].state, draw_);
  }
  if (!move) {
    if (settings_.explain)
      say("job " + std::to_string(which) + " starts at home, " + scenario_.nodes[home].name);
    return run_here(which, home);
  }
  jobs_[which].state = JobState::kStarting;
  const bool judged = asks_target(settings_.policy) && settings_.asking;
  request({which, home, home, number(move->to), tries, *move, ask_for(job, *move, judged)});
}

void World::say_move(const char* what, uint32_t job, size_t to, const balance::Move& move) const {
  if (!settings_.explain) return;
  char text[256];
  const balance::Terms& terms = move.terms;
  snprintf(text, sizeof text,
           "job %u of %s %s: %s (%s; leave %.2f join %.2f e %.2f>%.2f W %.1f gain %.2f cost %.2f)",
           job, scenario_.nodes[spec(job).home].name.c_str(), what,
           scenario_.nodes[to].name.c_str(), std::string(balance::text(move.cause)).c_str(),
           terms.leave, terms.join, terms.e_here, terms.e_there, terms.weight, terms.gain,
           terms.cost);
  say(text);
}

}  // namespace om::sim
