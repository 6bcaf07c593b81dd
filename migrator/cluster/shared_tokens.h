// SPDX-License-Identifier: Apache-2.0
//
// Tokens that are good at any signer of the cluster, because their state is kept at one place. A signer's TokenStore
// then has copies. Each `done` is called once, from the loop or before the call returns; a Failure may be told to users
// and joiners.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/base/node_id.h"
#include "common/net/control.h"

namespace om::migrator {

class SharedTokens {
 public:
  using Done = std::function<void(std::optional<Failure> failure)>;

  virtual ~SharedTokens() noexcept(false) = default;

  // A token of this node's store becomes known to all signers.
  virtual void publish(const std::string& id, Done done) = 0;
  // It becomes worthless at all of them.
  virtual void revoke(const std::string& id, Done done) = 0;
  // Brings the copy in this node's store up to date.
  virtual void refresh(const std::string& id, Done done) = 0;
  // Counts a use by `node`, after refresh() of the same token: never more than there are, however many signers do so at
  // once. If none is left nothing is counted, which is no failure: the copy says so.
  virtual void claim(const std::string& id, const NodeId& node, Done done) = 0;
};

}  // namespace om::migrator
