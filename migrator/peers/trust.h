// SPDX-License-Identifier: Apache-2.0
//
// How this node meets other nodes: with the certificate of its cluster, under TLS, or in plain text. Connections ask at
// their start; what they have begun with holds to their end.
#pragma once

#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/tls/tls_context.h"
#include "migrator/identity/credentials.h"

namespace om::migrator {

class Trust {
 public:
  enum class Change {
    kNone,
    kRenewed,  // the same node of the same cluster: connections go on
    kOther,    // joined, left, or another cluster: connections of before end
  };

  // `directory`: where the node's key and credentials are (identity/credentials.h); it need not exist, empty: nowhere.
  // `plain`: no TLS, whatever is there. Errors: what is there cannot be used.
  static Result<Trust> read(const std::string& directory, bool plain);

  // What is there now, read once more, takes the place of what was.
  Change replace_by(Trust next);

  // Without value: this node is in no cluster.
  const std::optional<Credentials>& member() const { return member_; }
  // For the next connection. Without value: plain text.
  const std::optional<TlsContext>& tls() const { return tls_; }
  const std::string& directory() const { return directory_; }

 private:
  Trust(std::string directory, std::optional<Credentials> member, std::optional<TlsContext> tls)
      : directory_(std::move(directory)), member_(std::move(member)), tls_(std::move(tls)) {}

  std::string directory_;
  std::optional<Credentials> member_;
  std::optional<TlsContext> tls_;
};

}  // namespace om::migrator
