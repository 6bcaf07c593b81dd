// SPDX-License-Identifier: Apache-2.0
//
// The nodes that have been removed from the cluster, as this member knows them: deny entries (deny.h) in the file
// `denied.json`. An entry stays for ever, unless there are kMaxDenyEntries and it is older than kDenyNeeded: by then no
// certificate of that node can still be valid.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "migrator/identity/deny.h"

namespace om::migrator {

constexpr size_t kMaxDenyEntries = 1024;
constexpr std::chrono::hours kDenyNeeded{40 * 24};

class DenyList {
 public:
  static constexpr const char* kFileName = "denied.json";

  // Reads what is in `state`, which must outlive it; none is no error. `ca_pem`: the cluster's CA. Errors: a file that
  // is others' or damaged, or has an entry of another cluster.
  static Result<DenyList> open(const OwnDirectory& state, std::string_view ca_pem);

  // Adds an entry from anywhere. Whether it was news, which is on the disk then. Errors: EBADMSG if it does not verify;
  // ENOSPC for a full list; those of writing: the node is denied, but only until this daemon ends.
  Result<bool> add(std::string_view bytes, WallTime now);

  bool denies(const NodeId& node) const { return entries_.contains(node); }
  const DenyEntry* find(const NodeId& node) const;
  // Oldest first.
  std::vector<const DenyEntry*> all() const;
  // The same for two lists with the same nodes: 8 bytes; empty for an empty list.
  std::string digest() const;

  static Result<void> forget(const OwnDirectory& state) { return state.remove(kFileName); }

 private:
  DenyList(const OwnDirectory& state, DenyVerifier verifier)
      : state_(&state), verifier_(std::move(verifier)) {}
  Result<void> write() const;

  const OwnDirectory* state_;
  DenyVerifier verifier_;
  std::map<NodeId, DenyEntry> entries_;
};

// The entries in the text of the file, not yet verified. EBADMSG for anything else than such a file.
Result<std::vector<DenyEntry>> parse_deny_file(const std::string& text);

}  // namespace om::migrator
