// SPDX-License-Identifier: Apache-2.0
//
// Who this node is: a P-256 key in a directory that survives reboots, made once. The node's id is made from it
// (common/tls/certificate.h), so whoever keeps the file is the same node after a reinstallation, and whoever copies it
// is this node, too.
#pragma once

#include <string>
#include <string_view>

#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl.h"

namespace om::migrator {

// Where identity, certificates and tokens are by default: /var/lib/om for root, else $XDG_STATE_HOME/om or
// ~/.local/state/om. Errors: neither variable is an absolute path.
Result<std::string> default_state_path(uid_t uid);

class Identity {
 public:
  static constexpr const char* kFileName = "node.key";

  // Reads the key in `state`, or makes one, with mode 0600. Errors: a key that others may read or change or that
  // belongs to another user, an unreadable one, a full disk; the file is never replaced.
  static Result<Identity> open(const OwnDirectory& state);

  const NodeId& id() const { return id_; }
  Result<std::string> key_pem() const { return key_to_pem(key_.get()); }

  // Asks a signer for a certificate in this name: a PKCS#10 request, PEM, signed by the key. Errors: no node name.
  Result<std::string> request(const std::string& name) const;

 private:
  explicit Identity(KeyPtr key);

  KeyPtr key_;
  NodeId id_;
};

}  // namespace om::migrator
