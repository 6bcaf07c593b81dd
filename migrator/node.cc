// SPDX-License-Identifier: Apache-2.0
#include "migrator/node.h"

#include <pwd.h>
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "balance/decide.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/cpu/cpu_baseline.h"
#include "common/movable/lazy_shared.h"
#include "common/movable/preflight.h"
#include "common/movable/preload.h"
#include "common/proc/privileges.h"
#include "common/proc/process.h"
#include "migrator/control/verbs.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kSamplePeriod{2000};

// The reason that says most comes first: not being preloaded follows from some of the others.
std::vector<Reason> preflight(pid_t pid) {
  std::vector<Reason> reasons;
  for (Reason& reason : preflight_process(pid)) {
    const bool cause =
        reason.code == ReasonCode::kStaticBinary || reason.code == ReasonCode::kSanitizer;
    reasons.insert(cause ? reasons.begin() : reasons.end(), std::move(reason));
  }
  return reasons;
}

// nullopt: it may go to other nodes. On any thread, as there may be many threads to look at.
std::optional<Reason> refuse_to_let_go(pid_t pid) {
  std::string privileges = root_privileges(pid);
  if (privileges.empty()) return std::nullopt;
  return Reason{ReasonCode::kRootOwned, std::move(privileges)};
}

// A process started by `om run --cpu` keeps to its baseline.
std::vector<std::string> used_features(pid_t pid, const std::vector<std::string>& features) {
  const ProgramStart start = read_start(proc::memory_tid(pid));
  const CpuBaseline* baseline = start.cpu.empty() ? nullptr : find_cpu_baseline(start.cpu);
  return baseline == nullptr ? features : restrict_features(features, *baseline);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"  // KJ owns through the type made
class TaskErrors final : public kj::TaskSet::ErrorHandler {
 public:
  void taskFailed(kj::Exception&& exception) override {
    log_error("node", "{}", exception.getDescription().cStr());
  }
};
#pragma GCC diagnostic pop

Result<std::optional<std::pair<uid_t, gid_t>>> guest_owner(const Options& options) {
  std::optional<std::pair<uid_t, gid_t>> owner;
  if (::geteuid() != 0) return owner;
  errno = 0;
  const passwd* entry = ::getpwnam(options.guest_user.c_str());
  if (entry == nullptr)
    return plain_error("there is no user " + escaped(options.guest_user, 40) + " for guests");
  if (entry->pw_uid == 0) return plain_error("guests may not run as root");
  owner = {entry->pw_uid, entry->pw_gid};
  return owner;
}

}  // namespace

Result<std::unique_ptr<Node>> Node::create(const Options& options) {
  OM_TRY(check_listen(options, in_private_network_namespace()));
  if (!options.listen.is_loopback() && options.insecure) {
    log_warn("node", "listening on {} without authentication: whoever reaches it can run code here",
             options.listen.host());
  }
  auto owner = OM_TRY(guest_owner(options));
  NodeFacts facts = OM_TRY(read_fixed_facts(options.name));
  for (const std::string& name : options.hidden_cpu_features) {
    if (std::erase(facts.cpu_features, name) == 0) {
      log_warn("node", "hide_cpu_features: this CPU has no {}", escaped(name, 40));
    }
  }
  if (options.lazy_shared) set_lazy_shared_patterns(*options.lazy_shared);
  // What an earlier daemon has left there is believed.
  OwnDirectory state =
      OM_TRY(OwnDirectory::make(options.state_dir, ::geteuid() == 0 ? 0755 : 0700));
  Options bound = options;
  UniqueFd listener = OM_TRY(listen_tcp(bound.listen));
  std::unique_ptr<Node> node(
      new Node(bound, std::move(state), std::move(listener), std::move(facts), owner));
  OM_TRY(node->reload_peers());
  // Last: who can connect finds everything in place.
  mode_t mode = ::geteuid() == 0 ? 0666 : 0600;
  node->control_ = OM_TRY(ControlServer::listen(node->loop_, options.control, mode));
  node->verbs_ = std::make_unique<Verbs>(node->services());
  node->control_->serve(
      [verbs = node->verbs_.get()](const Caller& caller, const Json& request, Answerer answer) {
        verbs->handle(caller, request, std::move(answer));
      },
      [verbs = node->verbs_.get()](const Caller& caller, const Json& request,
                                   std::unique_ptr<JsonStream>& stream) {
        return verbs->attach(caller, request, stream);
      },
      [node = node.get()](pid_t pid) { return node->children_.is_deputy(pid); });
  node->deputies_.recover();
  return node;
}

Node::Node(const Options& options, OwnDirectory state, UniqueFd listener, NodeFacts fixed_facts,
           std::optional<std::pair<uid_t, gid_t>> guest_owner)
    : options_(options),
      state_(std::move(state)),
      fixed_facts_(std::move(fixed_facts)),
      kj_(loop_),
      children_(loop_, state_),
      attach_key_(state_),
      events_(clock_, ProcessTable::runner_of),
      processes_(clock_, options_.control, options_.control == default_control_path(::geteuid())),
      census_(
          loop_, clock_, [this](pid_t pid) { return processes_.membership(pid); },
          [this] { return deputies_.processes(); }),
      keepers_(loop_, clock_, options_.name, options_.headroom_bytes, guest_owner, children_,
               events_),
      deputies_(kj_,
                Deputies::Settings{options_.name, options_.listen.host(), options_.control,
                                   ::geteuid() == 0},
                children_, attach_key_, events_),
      moves_(
          loop_, clock_, options_.name, processes_, deputies_, events_,
          [root_may_leave = options_.root_may_leave](pid_t pid, bool native) {
            // Looking closer would be no use.
            if (auto kept = root_may_leave ? std::nullopt : refuse_to_let_go(pid))
              return std::vector<Reason>{*kept};
            return native ? preflight(pid) : std::vector<Reason>();
          },
          [this](const std::string& name) { return check_target(name); }),
      peers_(kj_, peer_local()),
      service_(kj_, std::move(listener), service_local()),
      task_errors_(kj::heap<TaskErrors>()),
      tasks_(kj::heap<kj::TaskSet>(*task_errors_)),
      sampler_(loop_) {
  deputies_.set_handlers(
      {[this](pid_t pid, const std::string& to, Offer offer, DeputyLink::GuestAnswer answer) {
         need_guest(pid, to, std::move(offer), std::move(answer));
       },
       [this](pid_t pid, bool clean) {
         moves_.on_deputy_gone(pid, clean);
         if (verbs_) verbs_->on_deputy_gone(pid);
       }});
  sampler_.start_repeating(kSamplePeriod, [this] {
    deputies_.prune();
    children_.prune();
    deputies_.recover();
    sample();
  });
  hangup_ = std::make_unique<SignalWatcher>(loop_, SIGHUP, [this] {
    auto reloaded = reload_peers();
    if (!reloaded) log_error("node", "{}, keeping the peers as they were", reloaded.error().text());
  });
  terminate_ = std::make_unique<SignalWatcher>(loop_, SIGTERM, [this] { loop_.stop(); });
  interrupt_ = std::make_unique<SignalWatcher>(loop_, SIGINT, [this] { loop_.stop(); });
}

Node::~Node() { *alive_ = false; }

void Node::run() { loop_.run(); }

Json Node::ready_line() const {
  return Json{{"name", options_.name},
              {"address", options_.listen.host()},
              {"port", options_.listen.port()},
              {"control", options_.control},
              {"pid", ::getpid()}};
}

// Off the loop: there may be many processes.
void Node::sample() {
  if (std::exchange(sampling_, true)) return;
  std::vector<ProcessId> ids = processes_.noted();
  for (const ProcessId& process : deputies_.processes()) ids.push_back(process);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  auto found = std::make_shared<std::vector<ProcessInfo>>();
  run_in_pool(
      loop_,
      [ids = std::move(ids), found] {
        for (const ProcessId& id : ids) {
          auto info = read_process(id.pid);
          if (info && info->id == id) found->push_back(std::move(*info));
        }
      },
      [this, alive = alive_, found] {
        if (!*alive) return;
        sampling_ = false;
        processes_.sample(*found);
      });
}

NodeFacts Node::facts() {
  NodeFacts facts = fixed_facts_;
  if (auto read = refresh_facts(facts); !read) log_warn("node", "{}", read.error().text());
  facts.guests = keepers_.count();
  return facts;
}

Result<void> Node::reload_peers() {
  if (options_.peers_file.empty()) return {};
  peers_.set(OM_TRY(read_peers_file(options_.peers_file, options_.name)));
  return {};
}

kj::Promise<std::optional<Reason>> Node::admit(const Offer& offer) {
  Host host;
  host.name = options_.name;
  host.accepts = options_.accept;
  host.keeper_gate_abi = fixed_facts_.keeper_gate_abi;
  host.cpu_features = fixed_facts_.cpu_features;
  host.cpus = allowed_cpus().value_or({});
  host.reserved_bytes = keepers_.reserved_bytes();
  host.headroom_bytes = options_.headroom_bytes;
  host.limits = options_.guest_limits(fixed_facts_.cpus);
  host.guests = keepers_.counts_for(offer);
  NodeFacts now = fixed_facts_;
  auto possible = refresh_facts(now);
  host.free_bytes = now.free_bytes;
  std::optional<Reason> refusal;
  if (possible) refusal = refuse_offer(offer, host);
  auto verdict = std::make_shared<std::optional<Reason>>();
  kj::Promise<void> decided = kj::READY_NOW;
  if (!possible || refusal) {
    *verdict = admitted(offer, std::move(possible), std::move(refusal));
  } else {
    auto pair = kj::newPromiseAndFulfiller<void>();
    decided = kj::mv(pair.promise);
    // Shared, as a std::function is copied.
    auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<void>>>(kj::mv(pair.fulfiller));
    keepers_.start(offer, [this, offer, verdict, fulfiller](Result<void> started) {
      *verdict = admitted(offer, std::move(started), std::nullopt);
      (*fulfiller)->fulfill();
    });
  }
  return decided.then([verdict] { return *verdict; });
}

// What the peer is told, and an event of it.
std::optional<Reason> Node::admitted(const Offer& offer, Result<void> possible,
                                     std::optional<Reason> refusal) {
  if (!possible) {
    refusal = Reason{reason_of_errno(possible.error().err),
                     "node " + options_.name + ": " + possible.error().text()};
  }
  events_.add({refusal ? "rejected" : "admitted", offer.pid, offer.home_node,
               refusal ? std::optional(refusal->code) : std::nullopt,
               refusal ? refusal->message() : "a guest comes",
               guest_owner(offer.home_node, offer.uid)});
  return refusal;
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
  snapshot.nodes.push_back(view(facts(), options_.name, true, ""));
  for (const PeerLink* link : peers_.all()) {
    snapshot.nodes.push_back(
        view(link->facts().value_or(NodeFacts{}), link->peer().name, link->up(), link->reason()));
  }
  for (const ProcessId& id : deputies_.processes())
    snapshot.processes.push_back({id, deputies_.at(id), deputies_.find(id.pid) != nullptr});
  return snapshot;
}

std::optional<Reason> Node::check_target(const std::string& name) {
  return balance::refuse_target(snapshot(), name);
}

void Node::need_guest(pid_t pid, const std::string& to, Offer offer,
                      DeputyLink::GuestAnswer answer) {
  // Again, as it is now: nothing leaves that this has not been asked of.
  look_at_privileges(pid, [this, pid, to, offer = std::move(offer),
                           answer = std::move(answer)](const std::optional<Reason>& kept) mutable {
    if (kept) return answer(kept);
    ask_for_guest(pid, to, std::move(offer), answer);
  });
}

// Off the loop.
void Node::look_at_privileges(pid_t pid, std::function<void(const std::optional<Reason>&)> done) {
  if (options_.root_may_leave) return done(std::nullopt);
  auto kept = std::make_shared<std::optional<Reason>>();
  run_in_pool(
      loop_, [kept, pid] { *kept = refuse_to_let_go(pid); },
      [alive = alive_, kept, done = std::move(done)] {
        if (*alive) done(*kept);
      });
}

void Node::ask_for_guest(pid_t pid, const std::string& to, Offer offer,
                         DeputyLink::GuestAnswer answer) {
  PeerLink* link = peers_.find(to);
  auto process = read_process(pid);
  if (link == nullptr || !process) return answer(check_target(to));
  // The deputy belongs to the user: what identifies the process comes from us.
  offer.pid = pid;
  offer.uid = process->uid;
  offer.cpu_features = used_features(pid, offer.cpu_features);
  offer.home_node = options_.name;
  uint16_t port = offer.home.port();
  offer.home = options_.listen;
  offer.home.set_port(port);
  // Moved: KJ keeps a reference to a callable that is given by name.
  tasks_->add(link->admit(offer).then(kj::mv(answer)));
}

Services Node::services() {
  return Services{.loop = loop_,
                  .clock = clock_,
                  .processes = processes_,
                  .census = census_,
                  .keepers = keepers_,
                  .deputies = deputies_,
                  .moves = moves_,
                  .peers = peers_,
                  .events = events_,
                  .name = options_.name,
                  .address = options_.listen,
                  .ready_line = [this] { return ready_line(); },
                  .facts = [this] { return facts(); },
                  .snapshot = [this] { return snapshot(); },
                  .reload_peers = [this] { return reload_peers(); },
                  .look_at_privileges =
                      [this](pid_t pid, std::function<void(const std::optional<Reason>&)> done) {
                        look_at_privileges(pid, std::move(done));
                      }};
}

PeerLink::Local Node::peer_local() {
  PeerLink::Local local;
  local.from = options_.listen;
  local.facts = [this] { return facts(); };
  local.on_change = [this](const std::string& peer, bool up, const std::string& reason) {
    events_.add({up ? "peer_up" : "peer_down", 0, peer, std::nullopt, up ? "is up" : reason,
                 "node " + peer});
  };
  return local;
}

NodeService::Local Node::service_local() {
  NodeService::Local local;
  local.facts = [this] { return facts(); };
  local.knows = [this](const Address& from) {
    for (const PeerLink* link : peers_.all()) {
      if (link->peer().address.same_host(from)) return true;
    }
    return false;
  };
  local.address_of = [this](const std::string& name) { return peers_.address_of(name); };
  local.on_hello = [this](const std::string& name) {
    if (PeerLink* link = peers_.find(name)) link->nudge();
  };
  local.admit = [this](const Offer& offer) { return admit(offer); };
  return local;
}

}  // namespace om::migrator
