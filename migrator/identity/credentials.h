// SPDX-License-Identifier: Apache-2.0
//
// What makes a node a member of a cluster, in the state directory beside its key (identity.h):
//
//   node.crt      0644  this node's certificate, signed by the CA
//   ca.crt        0644  the certificate of the cluster's CA: who is believed
//   group.key     0600  the key that all members share
//   cluster.json  0644  the cluster's name, when it was joined, whom to ask first
//
// node.crt is written last and removed first: without it there is no membership, whatever else is there, so a join that
// was interrupted is no join. Each file is replaced at once; a full disk leaves the old one.
#pragma once

#include <optional>
#include <string>

#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_context.h"
#include "migrator/identity/cluster_files.h"

namespace om::migrator {

class Credentials {
 public:
  static constexpr const char* kCertificateFile = "node.crt";
  static constexpr const char* kCaFile = "ca.crt";
  static constexpr const char* kGroupKeyFile = "group.key";
  static constexpr const char* kInfoFile = "cluster.json";

  struct Parts {
    std::string certificate_pem;  // of this node
    std::string ca_pem;
    GroupKey group_key;
    ClusterInfo info;
  };

  // Checks that all belong together: the certificate was signed by the CA and is for `key_pem` (this node's key), the
  // CA is the one of the cluster of this name. Whether the certificate is valid now is not asked: an expired one can
  // still be renewed. Errors: one line that says what does not fit.
  static Result<Credentials> make(Parts parts, std::string key_pem);

  // Reads what is in `state`. nullopt: this node is in no cluster. Errors: a file that is missing, damaged, others' or
  // readable by others if it is secret; files that do not belong together.
  static Result<std::optional<Credentials>> open(const OwnDirectory& state);

  // Writes all of them. Errors: those of writing; if a membership of the same cluster was there, it still is. One of
  // another cluster is replaced, and is gone after an error.
  Result<void> save(const OwnDirectory& state) const;
  // The same certificate renewed, another group key: one file each.
  static Result<void> save_certificate(const OwnDirectory& state, const std::string& pem);
  static Result<void> save_group_key(const OwnDirectory& state, const GroupKey& key);

  // Ends the membership: removes all but the node's key. Nothing there is no error.
  static Result<void> forget(const OwnDirectory& state);

  const Certificate& certificate() const { return certificate_; }
  const std::string& name() const { return certificate_.name; }
  const NodeId& id() const { return certificate_.id; }
  uint32_t number() const { return certificate_.number; }

  const ClusterInfo& info() const { return parts_.info; }
  const std::string& cluster() const { return parts_.info.cluster; }
  // SHA-256 of the CA's certificate (DER), 32 bytes: what a cluster is, whatever its name, and what tokens have of it.
  const std::string& cluster_id() const { return cluster_id_; }
  const GroupKey& group_key() const { return parts_.group_key; }

  TlsCredentials tls() const { return {parts_.certificate_pem, key_pem_, parts_.ca_pem}; }

 private:
  Credentials(Parts parts, std::string key_pem, Certificate certificate, std::string cluster_id)
      : parts_(std::move(parts)),
        key_pem_(std::move(key_pem)),
        certificate_(std::move(certificate)),
        cluster_id_(std::move(cluster_id)) {}

  Parts parts_;
  std::string key_pem_;
  Certificate certificate_;
  std::string cluster_id_;
};

}  // namespace om::migrator
