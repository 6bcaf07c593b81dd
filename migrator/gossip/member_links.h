// SPDX-License-Identifier: Apache-2.0
//
// What the membership says over TLS (Links of member_service.h), as calls of wire::Node. Who makes the connections, and
// checks certificates, is the caller's business. Loop thread only.
#pragma once

#include <kj/async.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/schema/node.capnp.h"
#include "common/uv/task_errors.h"
#include "common/uv/uvkj.h"
#include "migrator/gossip/member_service.h"

namespace om::members {

class MemberLinks {
 public:
  static constexpr Milliseconds kAccuseLimit{1000};
  static constexpr Milliseconds kFetchLimit{30000};  // all pages
  static constexpr size_t kMostAtOnce = 64;          // of either kind; further ones fail at once

  // A connection to a member. The order matters for destruction: the connection goes last.
  struct Dialled {
    NodeId id;  // by its certificate
    std::shared_ptr<void> connection;
    wire::Node::Client node;
  };
  // Connects to a node of this cluster at `to`; fails if there is none.
  using Dial = std::function<kj::Promise<Dialled>(const Address& to)>;

  MemberLinks(UvKj& kj, Dial dial);
  ~MemberLinks() noexcept(false);

  // Valid while this lives.
  Links links();

 private:
  kj::Promise<uint64_t> ask(const Address& to, NodeId node, uint64_t incarnation);
  kj::Promise<uint64_t> ask_all(const std::vector<Address>& addresses, NodeId node,
                                uint64_t incarnation);
  kj::Promise<Fetched> fetch(const Address& to, std::optional<NodeId> node);
  void run(kj::Promise<void> task);

  UvKj& kj_;
  Dial dial_;
  size_t running_ = 0;
  // Each task tells its outcome itself.
  TaskErrors errors_{"gossip", LogLevel::kError, "a call to a member: "};
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::members
