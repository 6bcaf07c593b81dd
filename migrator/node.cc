// SPDX-License-Identifier: Apache-2.0
#include "migrator/node.h"

#include <fmt/core.h>
#include <pwd.h>
#include <signal.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "balance/decide.h"
#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/movable/lazy_shared.h"
#include "migrator/control/drain.h"
#include "migrator/control/verbs.h"
#include "migrator/identity/identity.h"
#include "migrator/load/readings.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kHousekeepingPeriod{2000};
constexpr unsigned kLooksAtCertificate = 15;  // once in so many periods

// Only root can give guests other users.
Result<GuestUsers::Settings> guest_users(const Options& options) {
  if (::geteuid() != 0) return GuestUsers::Settings{};
  if (options.guest_user.empty())
    return GuestUsers::Settings{options.guest_uids.value_or(kUsualGuestUids), std::nullopt};
  errno = 0;
  const passwd* entry = ::getpwnam(options.guest_user.c_str());
  if (entry == nullptr)
    return plain_error("there is no user " + escaped(options.guest_user, 40) + " for guests");
  if (entry->pw_uid == 0) return plain_error("guests may not run as root");
  return GuestUsers::Settings{std::nullopt, GuestUsers::Owner{entry->pw_uid, entry->pw_gid}};
}

// No user's limits hold for guests that are users of their own.
GuestResources guest_resources(const Options& options, const GuestUsers::Settings& users) {
  GuestResources most = options.guest_resources;
  if (users.own && most.all_threads == 0)
    most.all_threads =
        static_cast<uint32_t>(std::min<uint64_t>(proc::usual_most_threads(), 1 << 22));
  return most;
}

// The same for a later daemon of this node, and another for each node of a machine.
std::string group_name(const Options& options) {
  return fmt::format("om-{}-{}", options.name, short_hash(options.control));
}

// Where this node's key and certificate are. Without an own directory for them it is in no cluster.
std::string identity_path(const Options& options) {
  if (!options.identity_dir.empty()) return options.identity_dir;
  return default_state_path(::geteuid()).value_or("");
}

// A member is called what its certificate says.
Result<Options> with_name_of(const Trust& trust, Options options) {
  if (!trust.member() || trust.member()->name() == options.name) return options;
  if (options.name_given) {
    return plain_error(fmt::format("--name {}: the certificate in {} is that of {}", options.name,
                                   trust.directory(), trust.member()->name()));
  }
  options.name = trust.member()->name();
  return options;
}

}  // namespace

Result<std::unique_ptr<Node>> Node::create(const Options& given) {
  Trust trust = OM_TRY(Trust::read(identity_path(given), given.wire == Wire::kPlain));
  const Options options = OM_TRY(with_name_of(trust, given));
  const bool encrypted = trust.tls().has_value();
  // A node that is in no cluster yet may listen on a network, if nothing but TLS will ever be spoken there (quiet()).
  OM_TRY(check_listen(options, in_private_network_namespace(),
                      encrypted || options.wire == Wire::kSealed));
  if (!options.listen.is_loopback() && options.insecure && !encrypted) {
    log_warn("node", "listening on {} without authentication: whoever reaches it can run code here",
             options.listen.host());
  }
  auto users = OM_TRY(guest_users(options));
  NodeFacts facts = OM_TRY(read_fixed_facts(options.name));
  for (const std::string& name : options.hidden_cpu_features) {
    if (std::erase(facts.cpu_features, name) == 0) {
      log_warn("node", "hide_cpu_features: this CPU has no {}", escaped(name, 40));
    }
  }
  if (options.lazy_shared) set_lazy_shared_patterns(*options.lazy_shared);
  // We trust what an earlier daemon left there.
  OwnDirectory state =
      OM_TRY(OwnDirectory::make(options.state_dir, ::geteuid() == 0 ? 0755 : 0700));
  Options bound = options;
  if (options.membership == MembershipKind::kEtcd) OM_TRY(etcd::Http::available());
  const bool gossips =
      options.membership == MembershipKind::kBuiltin && options.wire == Wire::kSealed;
  Listening listening = OM_TRY(listen_on(bound.listen, gossips));
  std::unique_ptr<Node> node(new Node(bound, std::move(state), std::move(trust),
                                      std::move(listening), std::move(facts), users));
  OM_TRY(node->peers_.cluster.open());
  node->peers_.membership.follow_credentials();
  OM_TRY(node->reload_peers());
  if (node->quiet()) {
    log_warn("node",
             "this node is in no cluster: it talks to nobody until om cluster init or join");
  }
  // Last, so that clients that connect find everything in place.
  mode_t mode = ::geteuid() == 0 ? 0666 : 0600;
  node->control_ = OM_TRY(ControlServer::listen(node->loop_, options.control, mode));
  node->serve();
  node->children_.deputies.recover();
  return node;
}

Node::Children::Children(Node& node, const GuestUsers::Settings& guest_users)
    : list(node.loop_, node.state_),
      key(node.state_),
      keepers(node.loop_, node.clock_,
              {node.options_.name, node.options_.headroom_bytes, guest_users,
               node.options_.guest_namespaces, guest_resources(node.options_, guest_users),
               group_name(node.options_)},
              list, node.events_),
      deputies(node.kj_,
               Deputies::Settings{node.options_.name, node.options_.listen.host(),
                                  node.options_.control, ::geteuid() == 0,
                                  node.options_.wire == Wire::kPlain, node.options_.ports},
               list, key, node.events_) {}

Node::Processes::Processes(Node& node)
    : table(node.options_.control, node.options_.control == default_control_path(::geteuid())),
      census(
          node.loop_, node.clock_, [this](pid_t pid) { return table.membership(pid); },
          [&node] { return node.children_.deputies.processes(); }),
      sampler(node.loop_, node.clock_, census, [&node] { return node.away(); }) {}

Node::OwnLoad::OwnLoad(Node& node)
    : cpus(read_cpu_counts(allowed_cpus().value_or({}))),
      speed(node.loop_, node.state_, node.options_.speed),
      sampler(
          node.loop_, node.clock_,
          node.options_.load_of_machine ? LoadSampler::Count() : [&node](LoadSampler::Told told) {
            node.count_running(std::move(told));
          }) {}

Node::Peers::Peers(Node& node, Trust trusted, Listening listening)
    : trust(std::move(trusted)),
      refusals(node.clock_),
      table(node.kj_, node.peer_local()),
      leaving(node.loop_,
              {node.options_.name, node.options_.listen, node.options_.root_may_leave,
               node.options_.wire == Wire::kPlain, node.facts_.fixed().cpu_features},
              table),
      admission({node.options_.name, node.options_.accept, node.options_.wire == Wire::kPlain,
                 node.options_.headroom_bytes, node.options_.guest_limits(node.facts_.fixed().cpus),
                 node.children_.keepers.resources()},
                node.facts_, node.children_.keepers, node.events_),
      cluster(trust, node.clock_, node.cluster_local()),
      cluster_service(node.kj_, node.clock_, cluster, table),
      search(node.loop_, node.clock_, node.options_.listen, node.options_.name,
             node.discovery_settings()),
      membership(node.kj_, node.clock_,
                 {node.options_.listen, std::move(listening.udp), node.discovery_settings(),
                  node.etcd_settings()},
                 node.membership_local()),
      service(node.kj_, std::move(listening.tcp), node.service_local()) {
  desk = node.desk();
  cluster_service.on_farewell([this] { return membership.leave(); });
  cluster_service.on_tokens([this] { return membership.tokens(); });
  cluster_service.on_search([this](const Token& token, MemberSearch::Found found) {
    if (!search.possible()) return false;
    search.start(token, std::move(found));
    return true;
  });
}

Node::Node(const Options& options, OwnDirectory state, Trust trust, Listening listening,
           NodeFacts fixed_facts, const GuestUsers::Settings& guest_users)
    : options_(options),
      may_be_plain_(check_listen(options, in_private_network_namespace(), false).ok()),
      rights_(Rights::of_this_daemon(options.show_commands_to_all)),
      state_(std::move(state)),
      kj_(loop_),
      members_changed_(loop_),
      events_(clock_, ProcessTable::runner_of),
      facts_(std::move(fixed_facts), [this] { return children_.keepers.count(); }),
      processes_(*this),
      children_(*this, guest_users),
      load_(*this),
      moves_(
          loop_, clock_, options_.name, processes_.table, children_.deputies, events_,
          [root_may_leave = options_.root_may_leave](pid_t pid, bool native) {
            return Leaving::preflight(pid, native, root_may_leave);
          },
          [this](const std::string& name) { return refuse_target(name); }),
      peers_(*this, std::move(trust), std::move(listening)),
      farewell_(loop_),
      housekeeping_(loop_) {
  children_.deputies.set_handlers(
      {[this](pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer) {
         peers_.leaving.need_guest(pid, to, std::move(offer), std::move(answer));
       },
       [this](pid_t pid, bool clean) {
         moves_.on_deputy_gone(pid, clean);
         if (verbs_) verbs_->on_deputy_gone(pid);
       }});
  housekeeping_.start_repeating(kHousekeepingPeriod, [this] { keep_house(); });
  auto on = [this](int signal, std::function<void()> run) {
    signals_.push_back(std::make_unique<SignalWatcher>(loop_, signal, std::move(run)));
  };
  on(SIGHUP, [this] { reload_all(); });
  on(SIGTERM, [this] { end(); });
  on(SIGINT, [this] { end(); });
}

Node::~Node() = default;

// Once more while it is being emptied: at once.
void Node::end() {
  if (!options_.drain_on_stop || !verbs_ || std::exchange(ending_, true)) return loop_.stop();
  verbs_->drain().reopen();
  verbs_->drain().begin(options_.drain_limit, [this](const Json& drained) {
    if (!is_empty(drained)) log_warn("node", "not all went home: {}", to_json_text(drained));
    // The others need not find out by themselves.
    const auto farewell = peers_.membership.leave();
    if (!farewell) return loop_.stop();
    farewell_.start(*farewell, [this] { loop_.stop(); });
  });
}

std::optional<Reason> Node::refuse_target(const std::string& name) {
  if (peers_.admission.draining())
    return Reason{ReasonCode::kBlocked, "node " + options_.name + " is being emptied"};
  return balance::refuse_target(snapshot(), name);
}

void Node::serve() {
  verbs_ = std::make_unique<Verbs>(services(), clock_);
  control_->serve(
      [verbs = verbs_.get()](const Caller& caller, const Json& request, Answerer answer) {
        verbs->handle(caller, request, std::move(answer));
      },
      [verbs = verbs_.get()](const Caller& caller, const Json& request,
                             std::unique_ptr<JsonStream>& stream) {
        return verbs->attach(caller, request, stream);
      },
      [this](const Caller& caller) {
        return rights_.administers(caller) || children_.list.is_deputy(caller.pid);
      });
}

void Node::keep_house() {
  children_.deputies.prune();
  children_.list.prune();
  children_.keepers.tidy();
  children_.deputies.recover();
  // A certificate becomes valid, or expires.
  if (++kept_house_ % kLooksAtCertificate == 0 && peers_.membership.follow_credentials())
    use_peers();
}

void Node::run() { loop_.run(); }

Json Node::ready_line() const {
  return Json{{"name", options_.name},
              {"address", options_.listen.host()},
              {"port", options_.listen.port()},
              {"control", options_.control},
              {"pid", ::getpid()}};
}

Result<void> Node::reload_peers() {
  if (!options_.peers_file.empty())
    named_peers_ = OM_TRY(read_peers_file(options_.peers_file, options_.name));
  use_peers();
  return {};
}

bool Node::quiet() const { return !peers_.trust.tls() && !may_be_plain_; }

void Node::use_peers() {
  if (quiet()) return peers_.table.set({});
  std::vector<Peer> all = named_peers_;
  for (Peer& member : peers_.membership.peers()) {
    const bool named = std::any_of(all.begin(), all.end(),
                                   [&](const Peer& peer) { return peer.name == member.name; });
    if (!named) all.push_back(std::move(member));
  }
  peers_.table.set(all);
  peers_.membership.apply();
}

void Node::use_members() {
  peers_.membership.follow_credentials();
  use_peers();
  peers_.service.drop_denied();
}

// A node that was removed is as good as lost: its guests here end, what is away there comes home or ends.
void Node::end_sessions_with(const std::string& node) {
  children_.keepers.end_guests_of(node);
  for (const ProcessId& process : children_.deputies.processes()) {
    DeputyLink* link = children_.deputies.find(process.pid);
    if (link == nullptr || link->at() != node) continue;
    if (!link->cut("node", [] {}))
      log_error("node", "process {} is at {}, which was removed, and its deputy does not answer",
                process.pid, node);
  }
}

// Renewed credentials are for connections from now on. As a member of another cluster this node knows nobody of before.
Result<void> Node::reload_credentials() {
  const bool plain = options_.wire == Wire::kPlain;
  Trust next = OM_TRY(Trust::read(peers_.trust.directory(), plain));
  if (next.member() && next.member()->name() != options_.name) {
    return plain_error(fmt::format("this node is called {}, the certificate in {} is that of {}",
                                   options_.name, next.directory(), next.member()->name()));
  }
  OM_TRY(check_listen(options_, in_private_network_namespace(),
                      next.tls().has_value() || options_.wire == Wire::kSealed));
  const Trust::Change change = peers_.trust.replace_by(std::move(next));
  // Later: the answer that has brought them may be one of a connection that ends then.
  if (change != Trust::Change::kOther && peers_.membership.follow_credentials())
    members_changed_.start(Milliseconds(0), [this] { use_members(); });
  if (change == Trust::Change::kNone) return {};
  const auto& member = peers_.trust.member();
  log_info("node", "{}",
           member ? "a new certificate of cluster " + member->cluster() + " is in use"
                  : "this node is in no cluster any more");
  if (change == Trust::Change::kRenewed) return {};
  OM_TRY(peers_.cluster.open());
  peers_.membership.follow_credentials();
  if (plain) return {};
  peers_.service.drop_all();
  peers_.table.redial();
  use_peers();
  return {};
}

void Node::reload_all() {
  if (auto peers = reload_peers(); !peers)
    log_error("node", "{}, keeping the peers as they were", peers.error().text());
  if (auto read = reload_credentials(); !read)
    log_error("node", "{}, keeping the credentials as they were", read.error().text());
}

balance::Snapshot Node::snapshot() {
  auto view = [](const NodeFacts& facts, const std::string& name, bool up,
                 const std::string& why_down) {
    return balance::NodeView{name,
                             up,
                             why_down,
                             facts.cpus,
                             facts.load_centis,
                             facts.memory_bytes,
                             facts.free_bytes,
                             facts.guests};
  };
  balance::Snapshot snapshot;
  snapshot.self = options_.name;
  snapshot.nodes.push_back(view(facts_.now(), options_.name, true, ""));
  for (const PeerLink* link : peers_.table.all()) {
    snapshot.nodes.push_back(view(link->facts().value_or(NodeFacts{}), link->peer().name,
                                  link->up() || link->untried(), link->reason()));
  }
  for (const ProcessId& id : children_.deputies.processes())
    snapshot.processes.push_back(
        {id, children_.deputies.at(id), children_.deputies.find(id.pid) != nullptr});
  return snapshot;
}

}  // namespace om::migrator
