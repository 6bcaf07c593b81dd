// SPDX-License-Identifier: Apache-2.0
//
// What a node decides from: itself, what it knows of others, and the processes that it could move, as values. The maker
// of a view (daemon, simulator, test) collects everything; decisions use nothing else. snapshot.h is the smaller view
// for what users ask for.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "balance/constants.h"
#include "balance/load_entry.h"
#include "balance/load_table.h"
#include "balance/model.h"
#include "common/base/node_id.h"
#include "common/proc/process_id.h"

namespace om::balance {

// A node, as the deciding one knows it.
struct NodeLoad {
  NodeId node{};
  Machine machine{};
  double k = 0;  // runnable threads, with arrivals under way
  double told =
      0;  // as MOSIX smooths it: of this node the value for its own decisions, of others what they told
  double free_bytes = 0;
  double total_bytes = 0;
  uint8_t flags = 0;          // LoadFlag
  uint8_t feature_class = 0;  // what runs on one level runs on every higher one
  double age_s = 0;           // of all this
  bool reachable = true;
  bool trusted = true;  // Trust::may_send()
  Link link{};          // between this node and that one
};

// What an entry says; how old it is by its own age.
NodeLoad load_of(const LoadEntry& entry);
// What the table knows at a time, with what this node has sent there since.
NodeLoad load_of(const LoadTable::Known& known, double now_s);

// Where a user allows a process to be, besides home.
struct NodeList {
  bool only = false;            // those of `nodes`; otherwise all others
  std::vector<NodeId> nodes{};  // sorted

  bool allows(NodeId node) const {
    return std::binary_search(nodes.begin(), nodes.end(), node) == only;
  }
};

struct ProcessLoad {
  ProcessId id{};
  NodeId home{};
  double threads = 1;  // runnable ones
  double resident_bytes = 0;
  double age_s = std::numeric_limits<double>::infinity();  // since it began, wherever
  double cpu_age_s = 0;                                    // CPU time that it has used
  double cpu_share = 1;                                    // CPUs that it used of late, smoothed
  double calls_per_cpu_s = 0;                              // forwarded, or what would be
  uint8_t feature_class = 0;                               // of the node on which it began
  double since_arrival_s = std::numeric_limits<double>::infinity();
  double last_move_s = 0;  // how long it was frozen
  double recent_moves =
      0;  // in the last Constants::backoff_window_s; homecomings because of calls count
  bool locked = false;                // by its user
  bool moving = false;                // a move is asked for or under way
  bool movable = true;                // nothing is known that keeps it at home
  const NodeList* allowed = nullptr;  // any
  // Not here but there, if set: home decides whether it comes home or goes on. `at` outlives the view.
  const NodeLoad* at = nullptr;
  // Of those only: it may come home but not go elsewhere, as the node where it is has not asked to be relieved of it.
  bool only_home = false;
};

struct View {
  NodeLoad self{};
  std::vector<NodeLoad> others{};
  std::vector<ProcessLoad> processes{};
  unsigned departures = 0;      // under way
  size_t cluster_size = 1;      // nodes that are up
  double missing_bytes = 0;     // memory below the headroom; > 0: memory comes first
  double headroom_bytes = 0;    // of other nodes it is a share of what they have
  bool processes_stay = false;  // `stay`: nothing of this node leaves
  double since_departure_s = std::numeric_limits<double>::infinity();
  const Constants* constants = &kConstants;
};

// What is to be started.
struct NewJob {
  double threads = 1;
  double resident_bytes = 0;
  uint8_t feature_class = 0;
  const NodeList* allowed = nullptr;
};

}  // namespace om::balance
