// SPDX-License-Identifier: Apache-2.0
//
// What a machine that has the cluster's CA does with it: lets machines in that prove a token, renews certificates,
// removes nodes. It decides and keeps its files (ca.key, tokens.json, numbers.json); it talks to nobody.
//
// A join that breaks off anywhere can be repeated: the use of the token is written first, with the node that has used
// it, then the node's number; whoever comes again with the same key is the same node, is not counted again and gets the
// same number.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/net/control.h"
#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/deny_list.h"
#include "migrator/identity/join_messages.h"
#include "migrator/identity/member_book.h"
#include "migrator/identity/node_numbers.h"
#include "migrator/identity/token_store.h"

namespace om::migrator {

// Who has been let in, or renewed.
struct Signed {
  std::string name;
  NodeId id;
  uint32_t number = 0;
  std::string certificate;  // PEM
};

class Signer {
 public:
  // What this node knows of the cluster: for who has which name and number.
  struct Cluster {
    const MemberBook& members;
    const DenyList& denied;
  };
  template <class T>
  using Answer = Expected<T, Failure>;

  // nullopt: this machine has no CA. `number`: its own, from its certificate. `state` and `clock` must outlive it.
  // Errors: those of the files; a number that no signer can have.
  static Result<std::optional<Signer>> open(const OwnDirectory& state, const Clock& clock,
                                            uint32_t number);

  // `exporter`: kProofInputBytes of the connection on which the request came, by kProofLabel. Failures: VERSION,
  // BAD_REQUEST, BAD_TOKEN, DENIED, NAME_TAKEN, or no room on the disk; they may be told to the joiner.
  Answer<Signed> admit(const JoinRequest& request, std::string_view exporter,
                       const Cluster& cluster);
  // Whether admit() would let it in; who it is. Counts wrong proofs as admit() does, and no use.
  Answer<NodeId> examine(const JoinRequest& request, std::string_view exporter,
                         const Cluster& cluster);
  // A new certificate for a member: same key, name and number. `present`: what it has shown (TLS has verified it).
  // Failures: BAD_REQUEST, DENIED.
  Answer<Signed> renew(const Certificate& present, std::string_view request,
                       const DenyList& denied) const;
  // The entry that removes a node; its name is free then. Failures: a reason that cannot be written down, the disk.
  Answer<DenyEntry> remove(const NodeId& id, const std::string& name, const std::string& reason);

  const ClusterCa& ca() const { return ca_; }
  TokenStore& tokens() { return tokens_; }
  NodeNumbers& numbers() { return numbers_; }

  // Takes the CA, the tokens and the numbers away from this machine.
  static Result<void> forget(const OwnDirectory& state);

 private:
  Signer(ClusterCa ca, TokenStore tokens, NodeNumbers numbers, const Clock& clock)
      : ca_(std::move(ca)),
        tokens_(std::move(tokens)),
        numbers_(std::move(numbers)),
        clock_(&clock) {}

  struct Applicant {
    Signed granted;
    bool foreign = false;  // another signer has given its number
  };
  Answer<Applicant> judge(const JoinRequest& request, std::string_view exporter,
                          const Cluster& cluster);

  ClusterCa ca_;
  TokenStore tokens_;
  NodeNumbers numbers_;
  const Clock* clock_;
};

}  // namespace om::migrator
