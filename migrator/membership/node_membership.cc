// SPDX-License-Identifier: Apache-2.0
#include "migrator/membership/node_membership.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <kj/debug.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <utility>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/version.h"
#include "migrator/membership/gossip_engine.h"
#include "migrator/membership/member_peers.h"

namespace om::migrator {
namespace {

// Clocks may differ by this.
constexpr std::chrono::minutes kClocksDiffer{5};

// Not too many, and not always the same ones.
std::vector<std::string> some_of(std::vector<std::string> all, size_t most) {
  std::vector<std::string> chosen;
  std::sample(all.begin(), all.end(), std::back_inserter(chosen), most,
              std::minstd_rand{std::random_device{}()});
  return chosen;
}

}  // namespace

NodeMembership::NodeMembership(UvKj& kj, const Clock& clock, MembershipSettings settings,
                               Local local)
    : kj_(kj),
      clock_(clock),
      settings_(std::move(settings)),
      local_(std::move(local)),
      meeting_(kj.loop()) {}

NodeMembership::~NodeMembership() = default;

bool NodeMembership::wanted() const {
  const auto& member = local_.cluster.member();
  if (!settings_.socket && !settings_.etcd) return false;
  if (!member || !local_.trust.tls()) return false;
  const WallTime now = clock_.wall();
  const Certificate& own = member->certificate();
  return !local_.cluster.denies(member->id()) && own.not_before - kClocksDiffer <= now &&
         now <= own.not_after + kClocksDiffer;
}

bool NodeMembership::follow_credentials() {
  const auto& member = local_.cluster.member();
  const std::string of = member ? member->cluster_id() + member->id().text() + member->name() : "";
  const bool ran = running();
  // It has said goodbye, and did not leave after all.
  const bool back = leaving_ && !local_.cluster.leaving();
  if (ran && (!wanted() || of != of_ || back)) {
    engine_.reset();
    denied_.clear();
    to_meet_.clear();
    leaving_ = false;
  }
  if (!running() && wanted()) {
    of_ = of;
    if (auto opened = open(); !opened) {
      engine_.reset();
      const std::string why = opened.error().text();
      if (std::exchange(complaint_, why) != why)
        log_error("membership", "{}: members are dialled one by one", why);
    }
  }
  if (!running()) return ran;
  complaint_.clear();
  if (auto added = engine_->use_group_key(member->group_key()); !added)
    log_error("membership", "group key: {}", added.error().text());
  engine_->restate(local_.cluster.may_sign() ? kMaySign : 0);
  return !ran;
}

members::MembershipOptions NodeMembership::options() {
  members::MembershipOptions options;
  options.listen = settings_.listen;
  options.major = kProtocolMajor;
  options.minor = kProtocolMinor;
  options.features = local_.cluster.may_sign() ? kMaySign : 0;
  options.discovery = settings_.discovery;
  std::vector<std::string> known;
  for (const Peer& peer : local_.cluster.peers()) known.push_back(peer.address.text());
  for (std::string& address : some_of(std::move(known), kMostSeeds))
    options.discovery.seeds.push_back(std::move(address));
  return options;
}

Result<void> NodeMembership::open() {
  const auto& member = local_.cluster.member();
  const OwnDirectory state = OM_TRY(OwnDirectory::open(local_.trust.directory()));
  verifier_ = OM_TRY(DenyVerifier::make(member->tls().ca_pem));
  met_before_.clear();
  if (const MemberBook* book = local_.cluster.members()) {
    for (const KnownMember& known : book->all()) met_before_.insert(known.id);
  }
  few_ = met_before_.size() <= kEnoughMet;
  engine_ = OM_TRY(make_engine(state));
  for (const DenyEntry* entry : local_.cluster.denied()) engine_->deny(entry->node, entry->bytes);
  engine_->start();
  return {};
}

Result<std::unique_ptr<MembershipEngine>> NodeMembership::make_engine(const OwnDirectory& state) {
  MembershipEngine::Events events;
  events.on_change = [this](members::ChangeKind kind, const members::MemberView& node) {
    on_change(kind, node);
  };
  events.on_unknown_key = local_.ask_for_key;
  events.verify_deny = [this](NodeId node, std::string_view bytes) { return verify(node, bytes); };
  events.on_event = [this](const char* kind, const std::string& text) {
    local_.cluster.local().event(kind, "", text);
  };
  const Credentials& credentials = *local_.cluster.member();
  if (settings_.etcd) {
    const uint64_t features = local_.cluster.may_sign() ? kMaySign : 0;
    std::unique_ptr<MembershipEngine> etcd =
        OM_TRY(EtcdEngine::open(kj_.loop(), clock_, local_.cluster, state, *settings_.etcd,
                                {settings_.listen, features}, std::move(events)));
    return etcd;
  }
  members::MembershipOptions options = this->options();
  options.socket = UniqueFd(::fcntl(settings_.socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!options.socket) return errno_error("dup");
  std::unique_ptr<MembershipEngine> gossip = OM_TRY(GossipEngine::open(
      kj_, clock_, credentials, state, std::move(options),
      [this](const Address& to) { return dial(to); }, std::move(events)));
  return gossip;
}

// To whoever listens there: who it is shows in its certificate.
kj::Promise<members::MemberLinks::Dialled> NodeMembership::dial(const Address& to) {
  NodeDial dial{.from = settings_.listen, .tls = local_.trust.tls(), .denies = local_.desk.denies};
  if (!dial.tls) return KJ_EXCEPTION(FAILED, "this node is in no cluster");
  return dial_node(kj_, std::move(dial), to)
      .then(
          [](kj::Own<NodeConnection> connection) {
            const NodeId id = connection->certificate->id;
            auto node = connection->node;
            // What is shared is destroyed after `node`.
            auto held = std::make_shared<kj::Own<NodeConnection>>(kj::mv(connection));
            return members::MemberLinks::Dialled{id, std::move(held), kj::mv(node)};
          },
          [this, to](kj::Exception&& exception) -> members::MemberLinks::Dialled {
            const std::string text = text_of(exception);
            const auto refusal = handshake_refusal(text);
            if (refusal) local_.on_refusal(*refusal, to.host());
            local_.peers.note_failure(to, refusal ? refusal->text : text);
            kj::throwFatalException(kj::mv(exception));
          });
}

std::vector<Peer> NodeMembership::peers() const {
  return member_peers(running() ? engine_->members() : std::vector<members::MemberView>(),
                      local_.cluster, running());
}

void NodeMembership::apply() {
  if (!running()) return;
  std::map<std::string, members::MemberView> by_address;
  for (members::MemberView& member : engine_->members()) {
    std::string at = address_of(member).text();
    // Of two with one address the one that is there.
    auto& known = by_address[std::move(at)];
    if (known.addresses.empty() || is_present(member)) known = std::move(member);
  }
  for (const PeerLink* each : local_.peers.all()) {
    PeerLink* link = local_.peers.find(each->peer().name);
    if (!link->peer().on_demand) continue;
    const auto found = by_address.find(link->peer().address.text());
    if (found == by_address.end() || found->second.name != link->peer().name) {
      if (link->up()) link->hold(false, PeerLink::kNotReached);
    } else {
      show(*link, found->second);
    }
  }
}

void NodeMembership::show(PeerLink& link, const members::MemberView& member) {
  if (member.major != kProtocolMajor) {
    link.note_protocol(protocol_of(member));
    link.hold(false, other_version(member));
  } else if (const bool up = is_present(member); up != link.up()) {
    link.hold(up, "");
  }
}

std::vector<KnownMember> NodeMembership::members() const {
  std::vector<KnownMember> all;
  if (!running()) return all;
  for (const members::MemberView& member : engine_->members()) {
    if (member.state != members::State::kLeft) all.push_back(known(member));
  }
  return all;
}

std::vector<Outsider> NodeMembership::outsiders() const {
  std::vector<Outsider> all = denied_nodes(local_.cluster);
  if (!running()) return all;
  for (const members::MemberView& member : engine_->members()) {
    if (member.state != members::State::kLeft) continue;
    all.push_back(
        {member.name, member.id.text(), address_of(member).text(), "left", "left the cluster"});
  }
  for (const members::Sighting& sighting : engine_->others())
    all.push_back(stranger(sighting, *local_.cluster.member()));
  return all;
}

std::vector<std::pair<std::string, uint64_t>> NodeMembership::refused() const {
  if (!running()) return {};
  return engine_->refused();
}

std::optional<uint64_t> NodeMembership::accused(uint64_t incarnation) {
  if (!running()) return std::nullopt;
  return engine_->accused(incarnation);
}

std::optional<MemberPage> NodeMembership::page(const std::string& after) const {
  if (!running()) return std::nullopt;
  return engine_->page(after);
}

std::optional<Milliseconds> NodeMembership::leave() {
  if (!running()) return std::nullopt;
  leaving_ = true;
  return engine_->leave();
}

Expected<SharedTokens*, Failure> NodeMembership::tokens() {
  if (!settings_.etcd) return nullptr;
  if (!running()) return Failure{ExitCode::kFailure, "tokens are kept in etcd: " + complaint_};
  return engine_->tokens();
}

void NodeMembership::pass_on(const DenyEntry& entry) {
  if (running()) engine_->deny(entry.node, entry.bytes);
}

}  // namespace om::migrator
