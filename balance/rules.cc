// SPDX-License-Identifier: Apache-2.0
#include "balance/rules.h"

#include <algorithm>

namespace om::balance {
namespace {

bool is_away(const ProcessLoad& process) { return process.at != nullptr; }

const NodeLoad& place_of(const View& view, const ProcessLoad& process) {
  return is_away(process) ? *process.at : view.self;
}

Against against_target(const View& view, const NodeLoad& node) {
  if (!node.reachable) return Against::kUnreachable;
  if (node.age_s > view.constants->oldest_entry_s) return Against::kStale;
  if ((node.flags & kFlagBlock) != 0) return Against::kBlocked;
  if ((node.flags & kFlagDrain) != 0) return Against::kDraining;
  if ((node.flags & kFlagOwner) != 0) return Against::kOwner;
  if ((node.flags & kFlagFull) != 0) return Against::kFull;
  return node.trusted ? Against::kNothing : Against::kUntrusted;
}

bool about_guests(Against against) {
  return against >= Against::kBlocked && against <= Against::kUntrusted;
}

Target target_of(const View& view, const NodeLoad& node, uint64_t seed) {
  Target target{&node, node.k, node.free_bytes, against_target(view, node)};
  target.join = join_time(node.machine, node.k, 1);
  target.key = target.join * (1 + view.constants->tie * chance(seed, node.node));
  return target;
}

}  // namespace

double chance(uint64_t seed, NodeId node, uint64_t more) {
  uint64_t x = seed ^ static_cast<uint64_t>(node) ^ (more * 0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((x ^ (x >> 31)) >> 11) * 0x1p-53;
}

std::vector<Target> targets_of(const View& view, uint64_t seed) {
  std::vector<Target> targets;
  targets.reserve(view.others.size() + 1);
  for (const NodeLoad& node : view.others) targets.push_back(target_of(view, node, seed));
  if (std::any_of(view.processes.begin(), view.processes.end(), is_away))
    targets.push_back(target_of(view, view.self, seed));
  std::sort(targets.begin(), targets.end(), [](const Target& a, const Target& b) {
    return a.key != b.key ? a.key < b.key : a.node->node < b.node->node;
  });
  return targets;
}

Against against_process(const View& view, const ProcessLoad& process) {
  const Constants& constants = *view.constants;
  const bool guest = process.home != view.self.node;
  if (view.processes_stay && !guest && !is_away(process)) return Against::kNoMove;
  if (process.locked) return Against::kLocked;
  if (!process.movable) return Against::kNotMovable;
  if (process.moving) return Against::kMoving;
  const double stay = std::max(constants.stay_s, constants.stay_moves * process.last_move_s);
  if (process.since_arrival_s < stay) return Against::kStay;
  return process.age_s < constants.smallest_age_s ? Against::kYoung : Against::kNothing;
}

Against against_pair(const View& view, const ProcessLoad& process, const Target& target) {
  const NodeId node = target.node->node;
  const bool home = node == process.home;
  if (node == place_of(view, process).node) return Against::kNotChosen;
  if (target.general != Against::kNothing && !(home && about_guests(target.general)))
    return target.general;
  if (process.only_home && !home) return Against::kNotChosen;
  if (!home && process.allowed != nullptr && !process.allowed->allows(node))
    return Against::kNotAllowed;
  if (!home && target.node->feature_class < process.feature_class) return Against::kFeatures;
  const double room = room_needed(*view.constants, *target.node, process.resident_bytes);
  return target.free < room ? Against::kMemory : Against::kNothing;
}

double room_needed(const Constants& constants, const NodeLoad& target, double resident_bytes) {
  return constants.room_factor * resident_bytes + constants.headroom_share * target.total_bytes;
}

double frozen_s(const View& view, const ProcessLoad& process, const NodeLoad& target) {
  const double bytes = process.resident_bytes;
  if (is_away(process)) {
    const double home = move_seconds(process.at->link, bytes, 1);
    return target.node == process.home ? home : home + move_seconds(target.link, bytes, 1);
  }
  const bool through_home = process.home != view.self.node && process.home != target.node;
  return move_seconds(target.link, bytes, through_home ? 2 : 1);
}

Terms weigh(const View& view, const ProcessLoad& process, double here_k, const Target& target) {
  const NodeLoad& here = place_of(view, process);
  const double t = process.threads;
  Terms terms;
  terms.leave = leave_time(here.machine, std::max(here_k, t), t);
  terms.join = join_time(target.node->machine, target.k, t);
  terms.e_here = call_factor(process.calls_per_cpu_s, here.link.call_s, here.node == process.home);
  terms.e_there = call_factor(process.calls_per_cpu_s, target.node->link.call_s,
                              target.node->node == process.home);
  terms.weight = weight(*view.constants, process.cpu_age_s);
  terms.gain = terms.weight * (terms.leave * terms.e_here - terms.join * terms.e_there);
  terms.cost =
      move_cost(*view.constants, frozen_s(view, process, *target.node), process.recent_moves);
  return terms;
}

Against against_terms(const View& view, const ProcessLoad& process, const Terms& terms) {
  // A process that comes home because of its calls need not find a better node there.
  const bool calls = terms.e_there < terms.e_here;
  const double leave = calls ? terms.leave * terms.e_here : terms.leave;
  if (terms.join * view.constants->margin >= leave) return Against::kMargin;
  if (terms.net() > 0) return Against::kNothing;
  const double without_calls = terms.weight * (terms.leave - terms.join) - terms.cost;
  return process.calls_per_cpu_s > 0 && without_calls > 0 ? Against::kIoBound : Against::kNoGain;
}

Move make_move(const View& view, size_t process, Target& target, const Terms& terms) {
  const ProcessLoad& moved = view.processes[process];
  const NodeLoad& here = place_of(view, moved);
  target.used = true;
  target.k += moved.threads;
  target.free -= moved.resident_bytes;
  Cause cause = Cause::kLoad;
  if (terms.weight * (terms.leave - terms.join) <= terms.cost && terms.e_here > terms.e_there) {
    cause = Cause::kIo;
  } else if (here.k <= here.machine.cores && target.node->machine.speed > here.machine.speed) {
    cause = Cause::kSpeed;
  }
  return {process, target.node->node, cause, terms};
}

}  // namespace om::balance
