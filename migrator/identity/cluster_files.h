// SPDX-License-Identifier: Apache-2.0
//
// Two of the files that a member keeps, as text: what it knows of its cluster beside keys and certificates
// (cluster.json), and the key that all members share (group.key). One JSON line each. They are our own files, but a
// damaged one is refused with a line.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace om::migrator {

constexpr size_t kGroupKeyBytes = 32;
constexpr size_t kMaxContacts = 256;

// Protects datagrams between members. It is replaced from time to time; the number rises by one each time.
struct GroupKey {
  uint32_t number = 0;
  std::string bytes;  // kGroupKeyBytes

  // A random one. Errors: the generator has no seed.
  static Result<GroupKey> make(uint32_t number);
  // Of the keys that a member has and that another one shows it: which both use from now on. One a day and one for each
  // removal are made, so a number that is far ahead is not the signer's: numbers would run out.
  bool gives_way_to(const GroupKey& other) const;
  static constexpr uint32_t kFarAhead = 1000;
  bool operator==(const GroupKey&) const = default;
};

// A member that was known at joining: whom to ask first after a restart.
struct Contact {
  std::string name;     // a valid_node_name(); empty: any member
  std::string address;  // as Address::look_up() takes it, with a port

  bool operator==(const Contact&) const = default;
};

struct ClusterInfo {
  std::string cluster;            // its name, which is also the common name of its CA
  WallTime joined;                // whole seconds, from 1970 to 2242
  std::vector<Contact> contacts;  // at most kMaxContacts

  bool operator==(const ClusterInfo&) const = default;
};

std::string to_text(const GroupKey& key);
std::string to_text(const ClusterInfo& info);

// Errors: EBADMSG for anything that to_text() does not give; extra fields are ignored.
Result<GroupKey> parse_group_key(const std::string& text);
Result<ClusterInfo> parse_cluster_info(const std::string& text);

}  // namespace om::migrator
