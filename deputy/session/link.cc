// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/link.h"

#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <kj/debug.h>

#include <algorithm>
#include <iterator>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/net/connection.h"
#include "deputy/base/text.h"
#include "libom/abi/layout.h"

namespace om::deputy {
namespace {

constexpr auto kGreetLimit = 5 * kj::SECONDS;
constexpr auto kAcceptAgain = 100 * kj::MILLISECONDS;
constexpr auto kSayAgain = std::chrono::seconds(10);
constexpr size_t kMaxGreeting = 64;
constexpr size_t kMaxGreetings = 256;  // connections at a time; a keeper's send theirs at once

std::string hex(const uint8_t (&bytes)[16]) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(bytes), sizeof bytes));
}

}  // namespace

SessionKeys SessionKeys::random() {
  SessionKeys keys;
  KJ_SYSCALL(::getrandom(&keys, sizeof keys, 0));
  return keys;
}

std::string SessionKeys::session_hex() const { return hex(session); }
std::string SessionKeys::token_hex() const { return hex(token); }

Link::Link(kj::AsyncIoContext& io, const Address& address)
    : io_(io), errors_(*this), tasks_(errors_) {
  int fd = -1;
  KJ_SYSCALL(fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  kj::AutoCloseFd socket(fd);
  // A deputy that takes over from one that has died needs its port, on which connections may still be open.
  const int one = 1;
  KJ_SYSCALL(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  KJ_SYSCALL(::bind(fd, address.raw(), address.raw_size()), address.text().c_str());
  KJ_SYSCALL(::listen(fd, 256));
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  KJ_SYSCALL(::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size));
  auto own = Address::from_sockaddr(bound);
  KJ_REQUIRE(own.ok(), "listener has no internet address");
  port_ = own->port();
  receiver_ = io_.lowLevelProvider->wrapListenSocketFd(kj::mv(socket));
  tasks_.add(accept_loop());
}

void Link::expect(const SessionKeys& keys, uint32_t member) {
  close_all();
  member_ = member;
  pass_ = {{}, {}, kPartyKeeper, kPartyDeputy};
  std::copy(std::begin(keys.session), std::end(keys.session), pass_.session);
  std::copy(std::begin(keys.token), std::end(keys.token), pass_.token);
  expecting_ = true;
  patient_ = false;
  failed_ = nullptr;
}

void Link::be_patient() {
  patient_ = true;
  failed_ = nullptr;
}

void Link::close_all() {
  expecting_ = false;
  channels_.clear();
  session_ = Waiting();
  bulk_ = Waiting();
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Link::session() { return next(session_); }
kj::Promise<kj::Own<kj::AsyncIoStream>> Link::bulk() { return next(bulk_); }

kj::Promise<void> Link::wait_for_channels(uint32_t count) {
  KJ_IF_MAYBE (exception, failed_) {
    return kj::cp(*exception);
  }
  return channels_.wait_for(count);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Link::next(Waiting& waiting) {
  if (waiting.early.get() != nullptr) return kj::mv(waiting.early);
  KJ_IF_MAYBE (exception, failed_) {
    return kj::cp(*exception);
  }
  auto paf = kj::newPromiseAndFulfiller<kj::Own<kj::AsyncIoStream>>();
  waiting.fulfiller = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Link::arrived(Waiting& waiting, kj::Own<kj::AsyncIoStream> stream) {
  if (waiting.fulfiller.get() != nullptr && waiting.fulfiller->isWaiting()) {
    waiting.fulfiller->fulfill(kj::mv(stream));
    waiting.fulfiller = nullptr;
  } else {
    waiting.early = kj::mv(stream);
  }
}

kj::Promise<void> Link::accept_loop() {
  return receiver_->accept().then(
      [this](kj::Own<kj::AsyncIoStream>&& stream) {
        take(kj::mv(stream));
        return accept_loop();
      },
      [this](kj::Exception&& exception) {
        cannot_take(exception);
        return io_.provider->getTimer().afterDelay(kAcceptAgain).then([this] {
          return accept_loop();
        });
      });
}

// Anybody can connect. Whoever has been silent for longest makes room for who comes.
void Link::take(kj::Own<kj::AsyncIoStream> stream) {
  size_t waiting = 0;
  kj::PromiseFulfiller<void>* oldest = nullptr;
  for (auto& greeting : greetings_) {
    if (!greeting->isWaiting()) continue;
    waiting++;
    if (oldest == nullptr) oldest = greeting.get();
  }
  if (waiting >= kMaxGreetings) oldest->fulfill();
  auto dropped = kj::newPromiseAndFulfiller<void>();
  const auto here = greetings_.insert(greetings_.end(), kj::mv(dropped.fulfiller));
  tasks_.add(io_.provider->getTimer()
                 .timeoutAfter(kGreetLimit, greet(kj::mv(stream)))
                 .exclusiveJoin(kj::mv(dropped.promise))
                 .attach(kj::defer([this, here] { greetings_.erase(here); })));
}

// Descriptors or memory are short here. Who is away waits until there are some again; a departure fails.
void Link::cannot_take(const kj::Exception& exception) {
  log_warn("link", "cannot take a connection: {}", one_line(exception.getDescription()));
  if (patient_ || !expecting_) return;
  failed_ = kj::cp(exception);
  for (Waiting* waiting : {&session_, &bulk_}) {
    if (waiting->fulfiller.get() != nullptr) waiting->fulfiller->reject(kj::cp(exception));
    waiting->fulfiller = nullptr;
  }
  channels_.fail(exception);
}

kj::Promise<void> Link::greet(kj::Own<kj::AsyncIoStream> stream) {
  auto preamble = kj::heap<Preamble>();
  auto& p = *preamble;
  auto& s = *stream;
  static_assert(sizeof(Preamble) <= kMaxGreeting);
  return s.tryRead(&p, sizeof p, sizeof p)
      .then([this, preamble = kj::mv(preamble), stream = kj::mv(stream)](size_t n) mutable {
        const Preamble& q = *preamble;
        if (n != sizeof q || !expecting_ || !pass_.opens(q)) {
          say_dropped("it has no valid preamble");
          return;
        }
        KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                       KJ_IF_MAYBE (fd, stream->getFd()) {
                         watch_connection(*fd,
                                          q.kind == kPreambleBulk ? kBulkSilence : kPeerSilence);
                       }
                       file(q, kj::mv(stream));
                     })) {
          cannot_take(*exception);
        }
      });
}

void Link::file(const Preamble& preamble, kj::Own<kj::AsyncIoStream> stream) {
  if (preamble.kind != kPreambleSession && preamble.member != member_)
    return say_dropped("it is of another member");
  switch (preamble.kind) {
    case kPreambleSession:
      arrived(session_, kj::mv(stream));
      break;
    case kPreambleBulk:
      arrived(bulk_, kj::mv(stream));
      break;
    case kPreambleChannel:
      if (preamble.slot < kMaxSlots) channels_.add(preamble.slot, *stream);
      break;
    default:
      say_dropped("its kind is unknown");
      break;
  }
}

// Anybody can connect, as often as he likes.
void Link::say_dropped(const std::string& why) {
  const auto now = std::chrono::steady_clock::now();
  drops_.count++;
  if (drops_.count > 1 && now - drops_.said < kSayAgain) return;
  if (drops_.count == 1) {
    log_warn("link", "a connection was dropped: {}", why);
  } else {
    log_warn("link", "a connection was dropped: {}; {} in all", why, drops_.count);
  }
  drops_.said = now;
}

void Link::Errors::taskFailed(kj::Exception&& exception) {
  link_.say_dropped(one_line(exception.getDescription()));
}

}  // namespace om::deputy
