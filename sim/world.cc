// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <stdio.h>

#include <algorithm>

#include "common/base/assert.h"

namespace om::sim {
namespace {

constexpr double kBefore = -10;    // the cluster has run for so long when the first job comes
constexpr double kSampled = 0.25;  // seconds between looks at the own load
constexpr double kAddedBytes = 20 + 8 + 48;  // IP, UDP, seal

template <class T>
uint32_t slot(std::vector<T>& all, std::vector<uint32_t>& free, T value) {
  if (free.empty()) {
    all.push_back(std::move(value));
    return static_cast<uint32_t>(all.size() - 1);
  }
  const uint32_t place = free.back();
  free.pop_back();
  all[place] = std::move(value);
  return place;
}

}  // namespace

World::Node::Node(const NodeSpec& spec, size_t number, const balance::Constants& constants)
    : processor(spec.machine, spec.bytes), table(NodeId{number + 1}, 1), trust(constants) {}

World::World(const Scenario& scenario, Settings settings)
    : scenario_(scenario),
      settings_(std::move(settings)),
      random_(settings_.seed),
      draw_([this] { return random_(); }),
      now_(kBefore),
      jobs_(scenario.jobs.size()),
      left_(scenario.jobs.size()) {
  nodes_.reserve(scenario.nodes.size());
  for (size_t i = 0; i < scenario.nodes.size(); ++i) {
    const NodeSpec& node = scenario.nodes[i];
    nodes_.emplace_back(node, i, settings_.constants);
    const auto number = static_cast<uint32_t>(i);
    if (node.joins_s <= 0)
      set_up(i);
    else
      events_.add(node.joins_s, Happens::kJoin, number);
    if (node.dies_s < kNever) events_.add(node.dies_s, Happens::kDie, number);
    if (node.leaves_s < kNever) events_.add(node.leaves_s, Happens::kDrain, number);
  }
  if (!jobs_.empty()) events_.add(scenario.jobs[0].arrives_s, Happens::kArrive, 0);
}

void World::run() {
  while (left_ > 0 && !events_.empty()) {
    const Event event = events_.take();
    if (event.when_s > settings_.most_s) break;
    now_ = event.when_s;
    ++totals_.events;
    happen(event);
  }
}

void World::happen(const Event& event) {
  switch (event.what) {
    case Happens::kArrive:
      return arrive(event.a);
    case Happens::kEnd:
      return nodes_[event.a].end_version == event.b ? finish(event.a) : void();
    case Happens::kSample:
      return sample(event.a);
    case Happens::kDatagram: {
      if (nodes_[event.a].up) OM_ASSERT(nodes_[event.a].table.hear(now_, datagrams_[event.b]).ok());
      free_datagrams_.push_back(static_cast<uint32_t>(event.b));
      return;
    }
    case Happens::kDecide: {
      if (!nodes_[event.a].up) return;
      if (event.b == 0) {
        const double spread = settings_.constants.period_spread * (2 * chance() - 1);
        events_.add(now_ + balance::period_s(settings_.policy, settings_.constants) * (1 + spread),
                    Happens::kDecide, event.a);
      }
      return decide(event.a);
    }
    case Happens::kSecond: {
      Node& node = nodes_[event.a];
      if (!node.up) return;
      node.mosix.step(node.mean.mean(now_));
      return events_.add(now_ + 1, Happens::kSecond, event.a);
    }
    case Happens::kRelieve:
      return relieve(event);
    case Happens::kAsk:
      return ask(event);
    case Happens::kAnswer:
      return answer(event);
    case Happens::kCome:
      return come(event.a);
    case Happens::kJoin:
      say(scenario_.nodes[event.a].name + " joins");
      return set_up(event.a);
    case Happens::kDie:
      return die(event.a);
    case Happens::kDrain:
      return drain(event.a);
    case Happens::kNotice:
      return notice(event.a);
  }
}

void World::set_up(size_t number) {
  Node& node = nodes_[number];
  node.up = node.member = true;
  members_.push_back(number);
  const auto a = static_cast<uint32_t>(number);
  events_.add(now_ + kSampled * chance(), Happens::kSample, a);
  events_.add(now_ + balance::period_s(settings_.policy) * chance(), Happens::kDecide, a);
  if (settings_.policy == balance::Policy::kMosix)
    events_.add(now_ + chance(), Happens::kSecond, a);
}

void World::sample(size_t number) {
  Node& node = nodes_[number];
  if (!node.up) return;
  events_.add(now_ + kSampled, Happens::kSample, static_cast<uint32_t>(number));
  node.table.set_own(entry_of(number));
  if (node.table.due_s(now_) <= now_) tell(number);
}

void World::tell(size_t number) {
  Node& node = nodes_[number];
  std::string bytes = node.table.tell(now_);
  node.told = node.table.own();
  node.told_s = now_;
  if (members_.size() < 2) return;
  const size_t to = any_member(number);
  ++totals_.datagrams;
  totals_.bytes += static_cast<uint64_t>(static_cast<double>(bytes.size()) + kAddedBytes);
  if (chance() < scenario_.network.loss) return;
  events_.add(now_ + scenario_.network.delay_s, Happens::kDatagram, static_cast<uint32_t>(to),
              slot(datagrams_, free_datagrams_, std::move(bytes)));
}

size_t World::any_member(size_t except) {
  for (;;) {
    const size_t member = members_[random_() % members_.size()];
    if (member != except) return member;
  }
}

double World::call_factor(uint32_t job, size_t node) const {
  return balance::call_factor(spec(job).calls_per_cpu_s, scenario_.network.link.call_s,
                              spec(job).home == node);
}

void World::run_here(uint32_t number, size_t place) {
  Job& job = jobs_[number];
  Node& node = nodes_[place];
  const JobSpec& what = spec(number);
  job.state = JobState::kRunning;
  job.moving = false;
  job.at = place;
  job.measured_s = -1;
  node.here.push_back(number);
  node.mean.shift(now_, what.threads);
  node.processor.add(now_, number, what.work_s - job.done, what.threads, call_factor(number, place),
                     what.bytes);
  changed(place);
}

// `known`: the node sees at once that it has gone; otherwise only its samples do.
void World::stop_here(uint32_t number, bool known) {
  Job& job = jobs_[number];
  Node& node = nodes_[job.at];
  job.done += node.processor.remove(now_, number);
  std::erase(node.here, number);
  if (known) node.mean.shift(now_, -spec(number).threads);
  changed(job.at);
}

void World::changed(size_t place) {
  Node& node = nodes_[place];
  node.mean.sample(now_, node.processor.threads());
  const auto end = node.processor.next_end();
  ++node.end_version;
  if (end)
    events_.add(std::max(end->first, now_), Happens::kEnd, static_cast<uint32_t>(place),
                node.end_version);
}

void World::finish(size_t place) {
  const uint32_t number = nodes_[place].processor.next_end()->second;
  Job& job = jobs_[number];
  const size_t home = spec(number).home;
  stop_here(number, home != place);
  job.state = JobState::kEnded;
  job.ended_s = now_;
  --left_;
  if (home != place) {
    forget_away(number);
    if (job.measured_s < 0) nodes_[home].trust.gone(id(place));
  }
  if (settings_.explain)
    say("job " + std::to_string(number) + " ends on " + scenario_.nodes[place].name);
}

void World::say(const std::string& line) const {
  if (settings_.explain) settings_.explain(now_, line);
}

void World::request(Asked asked) {
  ++totals_.asked;
  nodes_[asked.asker].trust.sent(id(asked.to));  // before the answer: many may be asked at once
  nodes_[asked.asker].table.expect(id(asked.to), asked.ask.threads, asked.ask.resident_bytes);
  events_.add(now_ + scenario_.network.delay_s, Happens::kAsk,
              slot(asked_, free_asked_, std::move(asked)));
}

}  // namespace om::sim
