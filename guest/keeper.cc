// SPDX-License-Identifier: Apache-2.0
#include "guest/keeper.h"

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/net/answer_first.h"
#include "guest/service.h"

namespace om::guest {
namespace {

constexpr auto kRetry = 100 * kj::MILLISECONDS;
constexpr auto kLastAnswerLeaves = 20 * kj::MILLISECONDS;
constexpr size_t kMaxCallWords = 1 << 21;  // of calls that are not answered yet: 16 MiB

// One session connection with its RPC system.
struct Server {
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;

  Server(kj::Own<kj::AsyncIoStream> s, Keeper& keeper)
      : stream(answer_first(kj::mv(s))),
        network(*stream, capnp::rpc::twoparty::Side::SERVER),
        rpc(capnp::makeRpcServer(network,
                                 schema::Keeper::Client(kj::heap<KeeperService>(keeper)))) {
    rpc.setFlowLimit(kMaxCallWords);
  }
};

}  // namespace

Keeper::Keeper(kj::AsyncIoContext& io, const KeeperOptions& options)
    : io_(io),
      terms_(options.guest),
      dialer_(io, options.home, options.terms, options.cipher),
      session_(io),
      drained_(io.unixEventPort.onSignal(SIGUSR1).ignoreResult().fork()) {
  if (options.headroom != 0 || options.memory != 0)
    memory_watch_.emplace(io, options.headroom, options.memory);
}

Member& Keeper::make_member(uint32_t number) {
  KJ_REQUIRE(number < kMembers, "there is no such member");
  const auto [entry, is_new] =
      members_.try_emplace(number, Member::With{io_, dialer_, home_, session_, terms_}, number);
  if (is_new && spare_) entry->second.body().process().use(std::move(*spare_));
  spare_.reset();
  return entry->second;
}

// Home takes a while from here until it asks for a body; what has become known then is not much of the work. Any error
// comes again, and is told to home, when the body is made.
void Keeper::make_spare() {
  if (spare_ || !members_.empty() || ending_) return;
  if (auto fresh = FreshProcess::fork(terms_.launcher, terms_.isolation))
    spare_.emplace(std::move(*fresh));
}

Member& Keeper::member(uint32_t number) {
  const auto found = members_.find(number);
  KJ_REQUIRE(found != members_.end(), "no body has been made for this member");
  return found->second;
}

void Keeper::end(Member& member) {
  member.end();
  ending_ = std::all_of(members_.begin(), members_.end(),
                        [](const auto& entry) { return entry.second.is_over(); });
  if (ending_) {
    jobs_.clear();
    session_.end();
  }
  jobs_.wake();
  if (!jobs_.is_busy()) bury();
}

// Not while a step works on one of them.
void Keeper::bury() {
  for (auto& [number, member] : members_) {
    if (member.is_over() || ending_) member.body().process().kill();
  }
}

void Keeper::run() {
  auto sessions = serve_sessions().eagerlyEvaluate(
      [this](kj::Exception&& exception) { session_failed(exception); });
  while (!ending_) {
    jobs_.run_next(io_.waitScope);
    bury();
  }
  // Let the answer to end() leave.
  kj::runCatchingExceptions(
      [&] { io_.provider->getTimer().afterDelay(kLastAnswerLeaves).wait(io_.waitScope); });
}

// Until a body runs home may change its mind, and it ends every session in the end.
void Keeper::session_failed(const kj::Exception& exception) {
  const auto level = is_any_running() && !ending_ ? LogLevel::kError : LogLevel::kInfo;
  log("keeper", level, "{}", exception.getDescription().cStr());
  ending_ = true;
  session_.end();
  jobs_.wake();
}

// Serves one session connection after the other. A lost one is made again until home has been out of reach for
// too long; meanwhile gates find their channels closed and wait for new ones.
kj::Promise<void> Keeper::serve_sessions() {
  return connect_session()
      .then([this](kj::Own<kj::AsyncIoStream>&& stream) { return serve(kj::mv(stream)); })
      .then([this] { return serve_next(); });
}

kj::Promise<void> Keeper::serve(kj::Own<kj::AsyncIoStream> stream) {
  KJ_IF_MAYBE (fd, stream->getFd()) {
    session_fd_ = *fd;
  }
  auto server = kj::heap<Server>(kj::mv(stream), *this);
  auto gone = server->network.onDisconnect();
  session_.begin();
  home_.connected();
  make_spare();
  return gone.exclusiveJoin(nobody_serves()).attach(kj::mv(server));
}

kj::Promise<void> Keeper::serve_next() {
  session_.end();
  session_fd_ = -1;
  // Before the body runs there is nothing to keep: home goes on by itself.
  if (!is_any_running() || ending_) return KJ_EXCEPTION(DISCONNECTED, "the session has ended");
  if (!home_.is_served() && home_is_lost())
    return KJ_EXCEPTION(DISCONNECTED, "nobody at home serves the session");
  home_.session_over();
  for (auto& [number, member] : members_) member.link().cut_channels();
  // Whoever takes connections and does not serve them is not asked all the time.
  return io_.provider->getTimer().afterDelay(kRetry * home_.pauses()).then([this] {
    return serve_sessions();
  });
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Keeper::connect_session() {
  return dialer_.connect({kPreambleSession}, 1)
      .catch_([this](kj::Exception&& e) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        if (home_is_lost()) return kj::mv(e);
        home_.cannot_connect(e);
        return io_.provider->getTimer().afterDelay(kRetry).then(
            [this] { return connect_session(); });
      });
}

// Resolves when a session is of no use: it is there, and home is lost all the same.
kj::Promise<void> Keeper::nobody_serves() {
  return io_.provider->getTimer().afterDelay(kRetry).then([this]() -> kj::Promise<void> {
    if (home_.is_served()) return kj::NEVER_DONE;
    if (home_is_lost()) return KJ_EXCEPTION(DISCONNECTED, "nobody at home serves the session");
    return nobody_serves();
  });
}

bool Keeper::is_any_running() const {
  return std::any_of(members_.begin(), members_.end(),
                     [](const auto& entry) { return entry.second.body().is_running(); });
}

// As long as calls of a body have a way home it is not lost.
bool Keeper::home_is_lost() const {
  return home_.is_too_long() &&
         std::none_of(members_.begin(), members_.end(),
                      [](const auto& entry) { return entry.second.link().has_channel(); });
}

void Keeper::drop_session() {
  if (session_fd_ >= 0) ::shutdown(session_fd_, SHUT_RDWR);
}

kj::Promise<Keeper::Eviction> Keeper::evicted() {
  return drained_.addBranch().then([] { return Eviction{"", true}; }).exclusiveJoin(memory_short());
}

// The members of a session are under the same limits: any of them shows what there are.
kj::Promise<Keeper::Eviction> Keeper::memory_short() {
  const auto shown = std::find_if(members_.begin(), members_.end(), [](const auto& entry) {
    return entry.second.body().is_running() && entry.second.body().process().running();
  });
  if (!memory_watch_ || shown == members_.end()) return kj::NEVER_DONE;
  return memory_watch_->shortage(shown->second.body().process().pid())
      .then([this](std::string why) {
        for (auto& [number, member] : members_) member.body().hold();
        return Eviction{std::move(why), false};
      });
}

}  // namespace om::guest
