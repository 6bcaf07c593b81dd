// SPDX-License-Identifier: Apache-2.0
//
// The connection with the keeper of a process that is away: losing it, waiting for it, making it again, giving it up.
// Part of the watch over such a process (session/watch.cc).
//
// A keeper is lost when it no longer connects and its body gives no sign of life either. A silent one is not lost: its
// connection is up, and the kernels look after that (common/net/connection.h).
#include <stdlib.h>

#include "common/base/log.h"
#include "deputy/session/watch.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLookForSession = 500 * kj::MILLISECONDS;

}  // namespace

// How long a keeper may be unreachable.
kj::Duration patience() {
  const char* text = ::getenv("OM_SESSION_TIMEOUT_S");
  const long seconds = text != nullptr ? ::strtol(text, nullptr, 10) : 0;
  return (seconds > 0 && seconds < 86400 ? seconds : 30) * kj::SECONDS;
}

bool body_has_acted(const HomeSide& side) {
  const auto home = side.target->home();
  return !home || home->effectful != 0 || home->dropped != 0;
}

// The keeper makes connections, we wait for it. Channels stay as they are: those that work serve the body's calls.
kj::Promise<void> Watch::reconnect() {
  log_info("watch", "process {}: the keeper at {} is out of reach", with_.home.pid, with_.at);
  signs_.last = Clock::now();
  if (const auto home = with_.home.target->home()) signs_.calls = home->calls;
  with_.session.lose();
  return wait_for_session();
}

kj::Promise<void> Watch::wait_for_session() {
  using Found = kj::Maybe<kj::Own<kj::AsyncIoStream>>;
  auto later = with_.io.provider->getTimer().afterDelay(kLookForSession).then([]() -> Found {
    return nullptr;
  });
  return with_.session.link()
      .session()
      .then([](kj::Own<kj::AsyncIoStream>&& stream) -> Found { return kj::mv(stream); })
      .exclusiveJoin(kj::mv(later))
      .then([this](Found&& found) -> kj::Promise<void> {
        KJ_IF_MAYBE (stream, found) {
          take_session(kj::mv(*stream));
          return watch_session();
        }
        if (!session_is_lost()) return wait_for_session();
        noticed_.keeper_lost = true;
        with_.notice.happened();
        return kj::READY_NOW;
      });
}

void Watch::take_session(kj::Own<kj::AsyncIoStream> stream) {
  with_.session.reopen(kj::mv(stream));
  with_.session.hear();
  with_.session.renew_bulk();
  with_.session.came_back();
  signs_.patience = patience();
  pings_.under_way = false;
  kicks_.start_over();
  cpus_.start_over();
  log_info("watch", "process {}: the keeper at {} is back", with_.home.pid, with_.at);
  greet_keeper();
}

// As long as the body's calls arrive, or its node's kernel answers on one of its connections, the keeper is there: no
// body outlives it. signs_.patience is for a body that may never have run.
bool Watch::session_is_lost() {
  const auto home = with_.home.target->home();
  const bool calls = home && home->calls != signs_.calls;
  if (calls) signs_.calls = home->calls;
  if (calls || with_.session.link().channels().is_any_connected()) signs_.last = Clock::now();
  const kj::Duration limit = body_has_acted(with_.home) ? patience() : signs_.patience;
  return Clock::now() - signs_.last > std::chrono::nanoseconds(limit / kj::NANOSECONDS);
}

}  // namespace om::deputy
