// SPDX-License-Identifier: Apache-2.0
//
// What members tell and ask each other about the cluster, on the wire (common/schema/cluster.capnp). What a peer sends
// is read within limits; whether it is true is for migrator/cluster.
#pragma once

#include <string>
#include <vector>

#include "common/schema/cluster.capnp.h"
#include "common/uv/uvkj.h"
#include "migrator/peers/cluster_news.h"

namespace om::migrator {

constexpr Milliseconds kQuestionLimit{10000};

void write_news(const ClusterNews& news, wire::ClusterNews::Builder to);
Result<ClusterNews> read_news(wire::ClusterNews::Reader from);

void write_entries(const std::vector<std::string>& entries, capnp::List<capnp::Data>::Builder to);
Result<std::vector<std::string>> read_entries(capnp::List<capnp::Data>::Reader from);

void write_renewed(const Expected<std::string, Failure>& renewed,
                   wire::Member::RenewResults::Builder to);

// Questions to a member. They fail like the connection, or when it does not answer in time or answers nonsense; the
// exception's description is one line.
kj::Promise<ClusterNews> exchange_news(UvKj& kj, wire::Member::Client member,
                                       const ClusterNews& own);
kj::Promise<Expected<std::string, Failure>> ask_renew(UvKj& kj, wire::Member::Client node,
                                                      const std::string& request);
kj::Promise<std::vector<std::string>> ask_denied(UvKj& kj, wire::Member::Client node,
                                                 const std::vector<std::string>& own);
kj::Promise<GroupKey> ask_group_key(UvKj& kj, wire::Member::Client node);
kj::Promise<void> say_farewell(UvKj& kj, wire::Member::Client node);

}  // namespace om::migrator
