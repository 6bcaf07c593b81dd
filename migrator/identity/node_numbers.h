// SPDX-License-Identifier: Apache-2.0
//
// The small numbers and the names that a signer has given to nodes, in the file `numbers.json`. A node's number never
// changes and is never given to another node. A name belongs to the node that joined with it, until that one is
// removed.
//
// Two signers never give the same number, without having to agree: a signer is a member with a number N of its own, and
// gives the numbers from (N - 1) * 65536 + 1 to (N - 1) * 65536 + 65535. The first signer has number 1, so the numbers
// of most clusters are 1, 2, 3. Only nodes up to kMaxSignerNumber can be signers.
#pragma once

#include <stdint.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/tls/certificate.h"

namespace om::migrator {

constexpr uint32_t kNumbersOfSigner = 65535;
constexpr uint32_t kMaxSignerNumber = 32767;
constexpr size_t kMaxNumberedNodes = 16384;

struct NumberedNode {
  NodeId id;
  std::string name;
  uint32_t number = 0;
};

class NodeNumbers {
 public:
  static constexpr const char* kFileName = "numbers.json";

  // Reads what is in `state`, which must outlive it; none is no error: then no number has been given. `signer`: the
  // signer's own number, 1 to kMaxSignerNumber. Errors: a file that is others' or damaged, or another signer's.
  static Result<NodeNumbers> open(const OwnDirectory& state, uint32_t signer);

  // What a node would get: the number that it has, or the next one. Changes nothing. Errors, for the joiner to read:
  // the name belongs to another node; no number or no room is left.
  Result<uint32_t> number_for(const NodeId& id, const std::string& name) const;
  // Gives it; on the disk when this returns. Errors: those of number_for() and of writing.
  Result<uint32_t> give(const NodeId& id, const std::string& name);
  // The node has been removed: its name is free. Its number is not given again.
  Result<void> remove(const NodeId& id);

  const NumberedNode* find(const NodeId& id) const;
  const NumberedNode* find(const std::string& name) const;
  size_t size() const { return nodes_.size(); }

 private:
  friend Result<NodeNumbers> parse_numbers(const OwnDirectory& state, const std::string& text);
  NodeNumbers(const OwnDirectory& state, uint32_t signer)
      : state_(&state), signer_(signer), next_(first()) {}
  uint32_t first() const { return (signer_ - 1) * (kNumbersOfSigner + 1) + 1; }
  uint32_t last() const { return first() + kNumbersOfSigner - 1; }
  Result<void> write(const std::map<NodeId, NumberedNode>& nodes, uint32_t next) const;

  const OwnDirectory* state_;
  uint32_t signer_;
  uint32_t next_;
  std::map<NodeId, NumberedNode> nodes_;
};

// What numbers.json says. EBADMSG for anything else than such a file.
Result<NodeNumbers> parse_numbers(const OwnDirectory& state, const std::string& text);

}  // namespace om::migrator
