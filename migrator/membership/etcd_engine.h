// SPDX-License-Identifier: Apache-2.0
//
// The membership of a site that runs etcd: etcd/service.h behind the interface of engine.h. Members are keys under
// leases, what is new comes by a watch; tokens, deny entries and the number of the group key are keys as well.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/uv/loop.h"
#include "migrator/etcd/service.h"
#include "migrator/membership/engine.h"
#include "migrator/membership/etcd_tokens.h"

namespace om::migrator {

// Where etcd is, and who this node is for it.
struct EtcdSettings {
  std::vector<std::string> endpoints{};    // URLs without a path
  std::string user{}, password{};          // empty: none
  std::string ca{}, certificate{}, key{};  // files in PEM; empty: the system's CAs, none
};

class EtcdEngine final : public MembershipEngine {
 public:
  static constexpr Milliseconds kFarewell{1000};

  // What this node says of itself.
  struct Self {
    Address listen;
    uint64_t features = 0;
  };

  // `cluster` has credentials, and outlives it. Errors: no address that others could reach; libcurl; what cannot be
  // read from or written to `state`.
  static Result<std::unique_ptr<EtcdEngine>> open(Loop& loop, const Clock& clock, Cluster& cluster,
                                                  const OwnDirectory& state,
                                                  const EtcdSettings& settings, const Self& self,
                                                  Events events);
  ~EtcdEngine() noexcept(false) override;

  void start() override { service_->start(); }
  std::vector<members::MemberView> members() const override { return service_->members().all(); }
  std::optional<members::MemberView> find(NodeId node) const override {
    return service_->members().find(node);
  }
  std::vector<std::pair<std::string, uint64_t>> refused() const override;
  void restate(uint64_t features) override;
  Result<void> use_group_key(const GroupKey& key) override;
  void deny(NodeId node, std::string_view entry) override { service_->deny(node, entry); }
  Milliseconds leave() override;
  SharedTokens* tokens() override { return &*tokens_; }

 private:
  EtcdEngine(std::string name, uint64_t features, Events events)
      : name_(std::move(name)), features_(features), events_(std::move(events)) {}
  void on_reach(const std::optional<std::string>& lost);

  std::string name_;
  uint64_t features_;
  Events events_;
  std::optional<EtcdTokens> tokens_;  // goes after the service
  std::unique_ptr<etcd::Service> service_;
};

}  // namespace om::migrator
