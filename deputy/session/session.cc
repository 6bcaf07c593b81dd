// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/session.h"

#include <time.h>

#include "deputy/base/host.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kKeeperAnswers = 30 * kj::SECONDS;
constexpr auto kEndLimit = 5 * kj::SECONDS;
constexpr auto kKeeperWait = std::chrono::seconds(5);
constexpr auto kBulkWait = 10 * kj::SECONDS;
constexpr auto kSilence = std::chrono::seconds(10);  // of the keeper: nothing is asked of it
constexpr auto kLookForKeeper = 20 * kj::MILLISECONDS;
constexpr auto kPagesArrive = 30 * kj::SECONDS;
constexpr auto kBusySilence = std::chrono::seconds(5);  // pings are answered every second
constexpr auto kLookAround = std::chrono::milliseconds(50);
constexpr auto kBusyLimit = std::chrono::minutes(10);

}  // namespace

Session::Session(kj::AsyncIoContext& io, const Link::Place& listen, LinkWire wire, uint32_t member)
    : io_(io),
      link_(io, listen, wire),
      member_(member),
      // Never a number that the keeper has seen from another deputy: it goes by the clock.
      generation_(static_cast<uint32_t>(now_ns(CLOCK_REALTIME) / 1000000)) {}

void Session::expect(const SessionTerms& terms, uint64_t floor, Link::Remember remember) {
  terms_ = terms;
  link_.expect(terms_, member_, floor, std::move(remember));
}

void Session::open(kj::Own<kj::AsyncIoStream> stream) {
  client_ = nullptr;
  stream_ = kj::mv(stream);
  client_ = kj::heap<capnp::TwoPartyClient>(*stream_);
  keeper_ = client_->bootstrap().castAs<schema::Keeper>();
  body_ = nullptr;
}

void Session::reopen(kj::Own<kj::AsyncIoStream> stream) {
  open(kj::mv(stream));
  KJ_IF_MAYBE (keeper, keeper_) {
    auto request = keeper->bodyRequest();
    request.setMember(member_);
    body_ = request.send().getBody();
  }
}

Step Session::make_body(MakeBody& request, kj::Duration limit) {
  request.setMember(member_);
  auto answer = ask(request, limit);
  OM_TRY(check(answer.getVerdict()));
  body_ = answer.getBody();
  return Done{};
}

void Session::lose() {
  keeper_ = nullptr;
  body_ = nullptr;
  if (bulk_.get() != nullptr) kj::runCatchingExceptions([&] { bulk_->abortRead(); });
}

void Session::cut() {
  if (stream_.get() == nullptr || keeper_ == nullptr) return;
  // The other end may have been faster.
  kj::runCatchingExceptions([&] { stream_->abortRead(); });
  kj::runCatchingExceptions([&] { stream_->shutdownWrite(); });
}

void Session::close() {
  keeper_ = nullptr;
  body_ = nullptr;
  client_ = nullptr;
  bulk_ = nullptr;
  stream_ = nullptr;
  link_.close_all();
}

capnp::Response<schema::Body::StopResults> Session::stop_body(schema::Body::Client& body,
                                                              bool look) {
  auto request = body.stopRequest();
  if (++generation_ == 0) ++generation_;
  request.setGeneration(generation_);
  if (look) request.setLook(true);
  return ask(request, kKeeperAnswers);
}

void Session::resume_body(schema::Body::Client& body) {
  // What is still under way on the page connection is of no use any more.
  bulk_stale_ = true;
  kj::runCatchingExceptions([&] {
    auto request = body.resumeRequest();
    ask(request, kKeeperAnswers);
  });
}

void Session::end_body() {
  KJ_IF_MAYBE (body, body_) {
    kj::runCatchingExceptions([&] {
      auto request = body->endRequest();
      ask(request, kEndLimit);
    });
  }
}

void Session::await_bulk(kj::Duration limit) {
  bulk_ = timer().timeoutAfter(limit, link_.bulk()).wait(io_.waitScope);
  bulk_stale_ = false;
}

void Session::wait_for_pages(kj::Promise<void>&& pages) {
  // What has arrived is read without a look at anything else: not the pings, for as long as there is more.
  if (const auto now = Clock::now(); now - looked_around_ > kLookAround) {
    timer().afterDelay(0 * kj::SECONDS).wait(io_.waitScope);
    looked_around_ = now;
  }
  auto fork = pages.fork();
  for (const auto start = Clock::now();;) {
    bool late = false;
    auto limit = timer().afterDelay(kPagesArrive).then([&late] { late = true; });
    fork.addBranch().exclusiveJoin(kj::mv(limit)).wait(io_.waitScope);
    if (!late) return;
    const auto now = Clock::now();
    if (keeper_ == nullptr || now - heard_ > kBusySilence || now - start > kBusyLimit)
      kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "the keeper sends no pages"));
  }
}

bool Session::is_silent() const { return Clock::now() - heard_ > kSilence; }

Step Session::wait_for_keeper(const std::string& at, const std::function<bool()>& is_over) {
  const auto limit = Clock::now() + kKeeperWait;
  while (keeper_ == nullptr || bulk_stale_ || is_silent()) {
    if (is_over() || Clock::now() > limit) return refuse(ReasonCode::kOutOfReach, "{}", at);
    if (keeper_ != nullptr && bulk_stale_ && !is_silent()) {
      await_bulk(kBulkWait);
    } else {
      timer().afterDelay(kLookForKeeper).wait(io_.waitScope);
    }
  }
  return Done{};
}

}  // namespace om::deputy
