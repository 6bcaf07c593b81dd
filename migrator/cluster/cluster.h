// SPDX-License-Identifier: Apache-2.0
//
// What this node is in its cluster, and what it keeps of it: its key and credentials, the members that it knows, the
// nodes that were removed, and, on a machine that may sign, the CA. All of it is in the identity directory. Decides and
// writes files; cluster/cluster_service.h talks to other nodes, control/cluster_verbs.h to users.
//
// An operation that fails leaves everything as it was, unless it says otherwise.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/net/address.h"
#include "common/net/control.h"
#include "migrator/cluster/join_talk.h"
#include "migrator/identity/credentials.h"
#include "migrator/identity/deny_list.h"
#include "migrator/identity/identity.h"
#include "migrator/identity/member_book.h"
#include "migrator/identity/signer.h"
#include "migrator/peers/cluster_news.h"
#include "migrator/peers/peers_file.h"
#include "migrator/peers/trust.h"

namespace om::migrator {

// Without a signer for so long: an event a day, and a warning.
constexpr std::chrono::hours kSignerPatience{7 * 24};

class Cluster {
 public:
  struct Local {
    std::string name;  // of this node
    Address address;   // where it listens
    // Has the credentials read again, and used.
    std::function<Result<void>()> reload;
    // Whom to dial, or who is denied, has changed.
    std::function<void()> members_changed;
    // The node of this name was removed: what is between it and this node ends.
    std::function<void(const std::string& name)> denied;
    // This entry is new here: others are to know it.
    std::function<void(const DenyEntry& entry)> pass_on_denied;
    // Something for `om events`: kind, node, sentence.
    std::function<void(const std::string& kind, const std::string& node, const std::string& text)>
        event;
  };
  template <class T>
  using Answer = Expected<T, Failure>;

  // Both outlive it. `trust` has been loaded.
  Cluster(Trust& trust, const Clock& clock, Local local)
      : trust_(trust), clock_(clock), local_(std::move(local)) {}

  // Reads what belongs to the credentials. Errors: files that cannot be used.
  Result<void> open();

  const std::optional<Credentials>& member() const { return trust_.member(); }
  bool may_sign() const { return signer_.has_value(); }
  const Local& local() const { return local_; }
  const MemberBook* members() const { return members_ ? &*members_ : nullptr; }
  // Whether this certified node was removed.
  bool denies(const NodeId& node) const { return denied_ && denied_->denies(node); }
  // Whom else this node knows as a member, and whether that is news: it is written down then, and an event.
  bool met(const KnownMember& other);
  // The members to dial.
  std::vector<Peer> peers() const;
  // Signers that this node knows besides itself.
  std::vector<KnownMember> signers() const;
  // Whether it is a member that cannot sign and has met nobody who can for kSignerPatience.
  bool lacks_signer() const;

  // Users' verbs. Failures: NOT_A_MEMBER, ALREADY_MEMBER, NO_SIGNER, BAD_TOKEN, NO_SUCH_NODE, wrong arguments, files.
  // Makes a cluster of this node, which may sign, and a token for others.
  Answer<Token> init(const std::string& cluster, std::chrono::seconds life, int uses);
  // Why this node cannot leave; nullopt: it can. `force`: although the CA is lost.
  std::optional<Failure> may_leave(bool force) const;
  // From now on nobody is told that this node is a member, or (false) again.
  void set_leaving(bool leaving) { leaving_ = leaving; }
  bool leaving() const { return leaving_; }
  // Forgets the cluster, and with it the CA if this node may sign.
  Answer<Done> leave(bool force);
  Answer<DenyEntry> remove(const std::string& node, const std::string& reason);
  Answer<std::string> export_ca(const std::string& passphrase) const;
  Answer<Done> import_ca(const std::string& text, const std::string& passphrase);
  // For the verbs about tokens. Failures: NOT_A_MEMBER, NO_SIGNER.
  Answer<Signer*> signer();
  Json status() const;

  // Joining, from both sides.
  struct Application {
    Token token;
    std::string request;  // for a certificate
  };
  Answer<Application> apply(std::string_view token_text);
  Answer<Done> join(const Application& application, const JoinReply& reply);
  // Whether judge() would let it in, as a signer, and who it is; uses no token.
  Answer<NodeId> examine(const JoinRequest& request, const std::string& exporter);
  JoinAnswer judge(const JoinRequest& request, const std::string& exporter, const Address& from);

  // Between members. `peer` has been verified by TLS and is not denied.
  ClusterNews news() const;
  // Learns where the peer listens and whether it may sign. `seen`: its address on the connection.
  void heard(const Certificate& peer, const ClusterNews& news, const Address& seen);
  Answer<std::string> renew(const Certificate& peer, std::string_view request);
  // Believes those that verify. `node`: who passed them on.
  void take_denied(const std::vector<std::string>& entries, const std::string& node);
  // Oldest first, until one more is taken.
  std::vector<const DenyEntry*> denied() const;
  std::vector<std::string> denied_entries() const;
  Result<void> take_group_key(const GroupKey& key);
  void left(const NodeId& node);

  // Upkeep of this node's own certificate and, on the first signer, of the group key.
  Result<std::string> renewal_request() const;
  Result<void> take_certificate(const std::string& pem);
  // As a signer: renews its own. Failures: NOT_A_MEMBER, NO_SIGNER.
  Answer<Done> renew_own();
  Result<void> rotate_group_key();
  // The signer that keeps the group key fresh: the one with the lowest number.
  bool keeps_group_key() const;
  // Zero if it is not known.
  std::chrono::seconds group_key_age() const;

 private:
  // When this node last met a signer, as a text.
  static constexpr const char* kSeenFile = "signer.seen";

  // Whether this node is a member and has read what belongs to that.
  bool ready() const { return member() && members_ && denied_; }
  Result<OwnDirectory> directory() const;
  Result<void> adopt(const Credentials& credentials, const std::vector<KnownMember>& members);
  void forget_files();
  // Why this node can sign nothing; nullopt: it can.
  std::optional<Failure> may_not_sign() const;
  Failure already_a_member() const;
  // Forgets a removed node as a member, and tells of the removal.
  void forget_removed(const DenyEntry& entry);
  KnownMember self(bool signer) const;
  void see_signer();

  Trust& trust_;
  const Clock& clock_;
  Local local_;
  // Without value: this node is in no cluster.
  std::optional<OwnDirectory> state_;
  std::optional<MemberBook> members_;
  std::optional<DenyList> denied_;
  std::optional<Signer> signer_;  // refers to *state_
  WallTime signer_seen_{};
  bool leaving_ = false;
};

}  // namespace om::migrator
