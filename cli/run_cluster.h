// SPDX-License-Identifier: Apache-2.0
//
// The private cluster of om cluster run: the node at home and those on the hosts. It lives in a process of its own,
// which outlasts an om that is killed: when the descriptor `life` ends, because om has closed it or has died,
// everything comes home or ends, and nothing is left on any host.
#pragma once

#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/run_site.h"
#include "common/base/own_directory.h"
#include "common/base/unique_fd.h"
#include "common/proc/process_id.h"

namespace om::cli {

class RunCluster {
 public:
  // `own_node`: name of the node at home. `life`: as above; `mask`: of the daemon's signals.
  RunCluster(std::vector<RunHost> hosts, std::string own_node, UniqueFd life, const sigset_t& mask);

  // Returns when the nodes are members. Hosts that are no use are named on stderr and left out. Errors: this machine
  // cannot be the home; EINTR: `life` has ended. end() takes back what was made.
  Result<void> build();
  // Returns when it is to end; says meanwhile which hosts have gone.
  void watch();
  void end();

  std::string control() const { return dir_->path() + "/run/control.sock"; }
  const std::vector<RunSite>& sites() const { return sites_; }

 private:
  // Calls `work` for each site in a thread of its own, and leaves out those where it fails.
  template <class Work>
  Result<void> for_all(Work work);
  Result<std::string> own_address();
  Result<std::string> start_home(const std::string& listen);
  Result<std::string> token();
  Result<void> wait_until_all_up();
  bool life_ended(Milliseconds limit) const;

  std::vector<RunSite> sites_;
  const std::string own_node_;
  UniqueFd life_;
  const sigset_t mask_;
  std::optional<OwnDirectory> dir_, run_;
  std::optional<ProcessId> daemon_;
};

}  // namespace om::cli
