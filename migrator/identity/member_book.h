// SPDX-License-Identifier: Apache-2.0
//
// The members of the cluster that this node has met, in the file `members.json`: whom it dials after a restart, and who
// may sign. It learns them when it joins and from certified nodes that say hello. A name belongs to the first node that
// was met with it, until that one is forgotten.
#pragma once

#include <stdint.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/net/json_line.h"
#include "common/tls/certificate.h"

namespace om::migrator {

constexpr size_t kMaxKnownMembers = 1024;

struct KnownMember {
  std::string name;  // a valid_node_name()
  NodeId id;
  uint32_t number = 0;  // 1 to kMaxNodeNumber
  std::string address;  // where it listens, numeric, with a port: "10.1.2.3:4700"
  bool signer = false;  // has the CA's key

  bool operator==(const KnownMember&) const = default;
};

// As in members.json and in answers to joiners.
Json to_json(const KnownMember& member);
// Errors: anything that to_json() does not give.
Result<KnownMember> parse_member(const Json& item);
// A list of at most kMaxKnownMembers, no name or id twice.
Result<std::vector<KnownMember>> parse_members(const Json& list);

class MemberBook {
 public:
  static constexpr const char* kFileName = "members.json";

  // Reads what is in `state`, which must outlive it; none is no error. Errors: a file that is others' or damaged.
  static Result<MemberBook> open(const OwnDirectory& state);

  // Replaces all. Errors: those of writing.
  Result<void> set(const std::vector<KnownMember>& members);
  // What a certified node has said about itself. Whether it changes anything, which is on the disk then. Errors: its
  // name belongs to another node, there are kMaxKnownMembers; those of writing.
  Result<bool> learn(const KnownMember& member);
  // Whether it was there. Errors: those of writing; it is forgotten until this daemon ends.
  Result<bool> forget(const NodeId& id);

  const std::vector<KnownMember>& all() const { return members_; }
  const KnownMember* find(const NodeId& id) const;
  const KnownMember* find(const std::string& name) const;

  static Result<void> remove(const OwnDirectory& state) { return state.remove(kFileName); }

 private:
  explicit MemberBook(const OwnDirectory& state) : state_(&state) {}
  Result<void> write(const std::vector<KnownMember>& members) const;

  const OwnDirectory* state_;
  std::vector<KnownMember> members_;  // by when they were met
};

}  // namespace om::migrator
