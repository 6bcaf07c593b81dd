// SPDX-License-Identifier: Apache-2.0
//
// The part of a cluster's membership that talks: joins, on both sides; what members tell each other with each hello and
// what they ask then (deny entries, the group key); renewals and the other upkeep.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/uv/loop.h"
#include "common/uv/task_errors.h"
#include "common/uv/uvkj.h"
#include "migrator/cluster/cluster.h"
#include "migrator/cluster/shared_tokens.h"
#include "migrator/peers/cluster_news.h"
#include "migrator/peers/peer_table.h"

namespace om::migrator {

// Where members listen if nothing else is said.
constexpr uint16_t kDefaultPort = 4700;
constexpr std::chrono::hours kGroupKeyLife{24};

class ClusterService {
 public:
  template <class T>
  using Answer = Cluster::Answer<T>;

  // All outlive it.
  ClusterService(UvKj& kj, const Clock& clock, Cluster& cluster, PeerTable& peers);
  ~ClusterService() noexcept(false);

  // `address` of a member: numeric or a name, the port may be left out; empty: one is looked for. Follows it to a
  // signer if it is none.
  void join(const std::string& token, const std::string& address,
            std::function<void(Answer<Done>)> done);
  // Of this node's certificate, by itself or by a signer that is up; gives the signer's name.
  void renew(std::function<void(Answer<std::string>)> done);
  // Has all that are up know the deny entries of this node now, also the node that was removed. How many that are,
  // besides that one; at once.
  size_t spread_denied(const std::string& removed);
  // Tells some members that are up, and all by the membership, that this node leaves; waits for each for some seconds
  // at most.
  void say_farewell(std::function<void()> done);
  // Compares news with so many members, chosen at random: who has what the other one has not is asked for it.
  void compare_with_some(size_t most);
  // Somebody has a group key that this node does not have: `holder` is asked, or any member, if it is empty or no peer.
  void ask_for_key(const std::string& holder);
  // How members of the token's cluster are looked for; false: in no way, and `found` is not called.
  using Search = std::function<bool(const Token& token,
                                    std::function<void(const std::vector<Address>&)> found)>;
  void on_search(Search search) { search_ = std::move(search); }
  // Has the membership say goodbye, which takes this long; nullopt: there is none.
  void on_farewell(std::function<std::optional<Milliseconds>()> leave) {
    leave_ = std::move(leave);
  }

  // The tokens that all signers share: nullptr: each has its own; a Failure: they are out of reach.
  using FindTokens = std::function<Answer<SharedTokens*>()>;
  void on_tokens(FindTokens find) { find_tokens_ = std::move(find); }
  // A token of this signer's store was made; revoked. `done`: for all signers, if they share it.
  void share_token(const std::string& id, SharedTokens::Done done);
  void unshare_token(const std::string& id, SharedTokens::Done done);

  // Serves a machine that wants to join.
  kj::Promise<void> serve(kj::Own<TlsStream> stream, const Address& from);
  const ClusterDesk& desk() const { return desk_; }

 private:
  struct Joining;
  struct Renewal;
  void do_upkeep();
  // By Cluster::judge(), after a shared token's use has been counted where it is kept.
  kj::Promise<JoinAnswer> judge(const JoinRequest& request, const std::string& exporter,
                                const Address& from);
  // Fulfilled when `joining` has addresses to ask.
  kj::Promise<void> find_members(const std::shared_ptr<Joining>& joining,
                                 const std::string& address);
  // To ask this node; fails if it cannot be reached.
  kj::Promise<wire::Member::Client> client_of(const std::string& name);
  kj::Promise<void> exchange_news(const std::string& peer);
  kj::Promise<void> tell_removed(const PeerLink& link);
  void compare(const std::string& peer, const ClusterNews& news);
  kj::Promise<void> exchange_denied(const std::string& peer);
  kj::Promise<void> fetch_group_key(const std::string& peer);
  // Unless it was done for this key.
  void tell_of_key();
  // Runs it, but not twice at once under the same name. `what` is for the log if it fails.
  void run(const std::string& what, const std::string& peer,
           const std::function<kj::Promise<void>()>& start);

  UvKj& kj_;
  const Clock& clock_;
  Cluster& cluster_;
  PeerTable& peers_;
  ClusterDesk desk_;
  std::function<std::optional<Milliseconds>()> leave_;
  Search search_;
  FindTokens find_tokens_ = [] { return nullptr; };
  Timer upkeep_;
  uint32_t key_told_ = 0;  // number of the group key that others were told of
  bool renewing_ = false;
  WallTime complained_{};                        // about the lack of signers
  std::set<std::string> running_;                // what run() runs
  std::map<std::string, std::string> compared_;  // by peer: both digests of the last exchange
  TaskErrors errors_{"cluster", LogLevel::kWarn};
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::migrator
