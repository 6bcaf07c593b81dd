// SPDX-License-Identifier: Apache-2.0
//
// Membership for the nodes of a local cluster: a CA of its own in the cluster's directory (ca.key), and in each node's
// directory a folder with what a member keeps (migrator/identity/credentials.h). All of it goes when the cluster is
// stopped.
#pragma once

#include <string>

#include "common/base/own_directory.h"
#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/cluster_files.h"

namespace om::cli {

class LocalCa {
 public:
  static constexpr const char* kCluster = "dev";      // its name
  static constexpr const char* kFolder = "identity";  // in a node's directory

  // A new one in `dir`. Errors: those of writing, and EEXIST.
  static Result<LocalCa> make(const OwnDirectory& dir);

  // Makes `node_dir`/identity, with the key and certificate of a node. `number`: its small number, from 1 on.
  Result<void> admit(const OwnDirectory& node_dir, const std::string& name, uint32_t number) const;

 private:
  LocalCa(migrator::ClusterCa ca, migrator::GroupKey group_key)
      : ca_(std::move(ca)), group_key_(std::move(group_key)) {}

  migrator::ClusterCa ca_;
  migrator::GroupKey group_key_;
};

}  // namespace om::cli
