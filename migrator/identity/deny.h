// SPDX-License-Identifier: Apache-2.0
//
// A deny entry: the statement, signed by the cluster's CA, that a node is never to be believed again. Whoever has the
// CA's certificate can check one, so it does not matter who passes it on.
//
//   "om deny 1\n" | node id 8 | seconds since 1970, 8, little endian | size 1, name | size 1, reason | signature
//
// The signature (ECDSA with SHA-256, DER) is over all that is before it and is the rest. The words in front keep it
// apart from everything else that the CA's key signs: a certificate begins with another byte.
#pragma once

#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl.h"
#include "migrator/identity/cluster_ca.h"

namespace om::migrator {

constexpr size_t kMaxDenyReason = 200;
// Of any entry.
constexpr size_t kMaxDenyBytes = 400;

struct DenyEntry {
  NodeId node;
  std::string name;    // a valid_node_name()
  WallTime time;       // of the removal, whole seconds
  std::string reason;  // printable ASCII, at most kMaxDenyReason; may be empty
  std::string bytes;   // the whole entry
};

// Makes one. Errors: no node name, a reason that is too long or not printable, OpenSSL.
Result<DenyEntry> make_deny(const ClusterCa& ca, const NodeId& node, const std::string& name,
                            WallTime time, const std::string& reason);

// Reads one that comes from anywhere, without looking at the signature. EBADMSG for anything that make_deny() does not
// give.
Result<DenyEntry> parse_deny(std::string_view bytes);

// "removed", and why if that is said.
std::string removal_text(const DenyEntry& entry);

// Checks entries against the CA of one cluster.
class DenyVerifier {
 public:
  // `ca_pem`: the CA's certificate.
  static Result<DenyVerifier> make(std::string_view ca_pem);
  // EBADMSG: malformed, or not signed by the CA.
  Result<DenyEntry> verify(std::string_view bytes) const;

 private:
  explicit DenyVerifier(KeyPtr key) : key_(std::move(key)) {}
  KeyPtr key_;
};

}  // namespace om::migrator
