// SPDX-License-Identifier: Apache-2.0
//
// The part of PeerLink that makes a connection when somebody needs one. One attempt at a time, for all who wait.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // as in peer_link.cc
#endif
#include <kj/debug.h>

#include <utility>

#include "common/base/log.h"
#include "migrator/peers/peer_link.h"

namespace om::migrator {

bool PeerLink::fresh() const { return std::chrono::steady_clock::now() - heard_ < kHelloPeriod; }

// A connection that was not used for a while is tried first: the peer may have gone without a word.
kj::Promise<PeerLink::Reached> PeerLink::reach_on_demand() {
  idle_.start(local_.idle, [this] { close(); });
  if (!busy_ && connected() && fresh()) return reached();
  if (waiting_.size() >= kMostWaiting)
    return KJ_EXCEPTION(OVERLOADED, "too many are waiting for it");
  auto pair = kj::newPromiseAndFulfiller<Reached>();
  waiting_.push_back(kj::mv(pair.fulfiller));
  if (!busy_) work();
  return kj::mv(pair.promise);
}

void PeerLink::work() {
  busy_ = true;
  running_ = kj::evalLater([this] { return answer_or_connect(); })
                 .then([this] { finish(nullptr); },
                       [this](kj::Exception&& exception) {
                         gone_ = nullptr;
                         connection_ = nullptr;
                         const std::string text = explain(exception);
                         note_failure(text);
                         const auto why = KJ_EXCEPTION(DISCONNECTED, kj::str(text.c_str()));
                         finish(&why);
                       })
                 .eagerlyEvaluate([this](kj::Exception&& exception) {
                   log_error("peer", "{}: {}", peer_.name, text_of(exception));
                 });
}

kj::Promise<void> PeerLink::answer_or_connect() {
  if (!connected())
    return connect().then([this] {
      gone_ = connection_->network.onDisconnect()
                  .then([this] {
                    heard_ = {};
                    idle_.start(Milliseconds(0), [this] { close(); });
                  })
                  .eagerlyEvaluate(nullptr);
    });
  return say_hello().catch_([this](kj::Exception&&) {
    gone_ = nullptr;
    connection_ = nullptr;
    return answer_or_connect();
  });
}

// Whoever is told goes on later, from the loop.
void PeerLink::finish(const kj::Exception* failure) {
  busy_ = false;
  for (auto& waiting : std::exchange(waiting_, {})) {
    if (failure != nullptr) {
      waiting->reject(kj::cp(*failure));
    } else {
      waiting->fulfill(reached());
    }
  }
}

void PeerLink::close() {
  if (busy_) return;  // somebody needs it after all
  gone_ = nullptr;
  connection_ = nullptr;
}

bool PeerLink::stale() const {
  const bool failed_now =
      !failure_.empty() && std::chrono::steady_clock::now() - failed_ < kHelloPeriod;
  return peer_.on_demand && !failed_now && !(facts_ && fresh());
}

kj::Promise<void> PeerLink::refresh() {
  if (!stale()) return kj::READY_NOW;
  return reach_on_demand().then([](Reached&&) {}, [](kj::Exception&&) {});
}

void PeerLink::hold(bool up, const std::string& reason) {
  up_ = up;
  reason_ = reason;
  if (up) return;
  const bool counts =
      !failure_.empty() && std::chrono::steady_clock::now() - failed_ < kFailureCounts;
  if (reason_.empty()) reason_ = counts ? failure_ : "does not answer";
  close();
}

void PeerLink::note_protocol(uint32_t protocol) {
  if (!facts_) facts_.emplace();
  facts_->protocol = protocol;
}

void PeerLink::note_failure(const std::string& text) {
  failure_ = text;
  failed_ = std::chrono::steady_clock::now();
  if (peer_.on_demand && !up_) reason_ = text;
}

}  // namespace om::migrator
