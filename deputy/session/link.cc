// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/link.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <kj/debug.h>

#include <algorithm>

#include <utility>

#include "common/base/log.h"
#include "common/net/connection.h"
#include "common/tls/sealed_stream.h"
#include "deputy/base/text.h"

namespace om::deputy {
namespace {

constexpr auto kGreetLimit = 5 * kj::SECONDS;
constexpr auto kAcceptAgain = 100 * kj::MILLISECONDS;
constexpr auto kSayAgain = std::chrono::seconds(10);
constexpr int kBacklog = 256;
constexpr size_t kMaxGreetings = 256;  // connections at a time; a keeper's send theirs at once

}  // namespace

SessionTerms random_terms() {
  SessionTerms terms;
  KJ_SYSCALL(::getrandom(&terms, sizeof terms, 0));
  return terms;
}

Link::Link(kj::AsyncIoContext& io, const Place& place, LinkWire wire)
    : io_(io), place_(place), wire_(wire), errors_(*this), tasks_(errors_) {
  (void)listen();
}

// Deputies begin at different ports, so that each finds one soon.
Step Link::listen() {
  if (port_ != 0) return Done{};
  const PortRange& ports = place_.ports;
  if (place_.address.port() != 0 || ports.is_any()) {
    KJ_REQUIRE(listen_on(place_.address.port()), "the address is in use",
               place_.address.text().c_str());
    return Done{};
  }
  const auto start = static_cast<uint32_t>(::getpid());
  for (uint32_t i = 0; i < ports.size(); i++) {
    const auto port = static_cast<uint16_t>(ports.first + (start + i) % ports.size());
    const bool free =
        std::find(place_.others.begin(), place_.others.end(), port) == place_.others.end();
    if (free && listen_on(port)) return Done{};
  }
  return om::refuse(ReasonCode::kFull, "home has no port for the process, ports is {}",
                    ports.text());
}

// False if somebody else listens there. Any other failure is a KJ exception.
bool Link::listen_on(uint16_t port) {
  Address address = place_.address;
  address.set_port(port);
  int fd = -1;
  KJ_SYSCALL(fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  kj::AutoCloseFd socket(fd);
  // A deputy that takes over from one that has died needs its port, on which connections may still be open.
  const int one = 1;
  KJ_SYSCALL(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  const bool listens =
      ::bind(fd, address.raw(), address.raw_size()) == 0 && ::listen(fd, kBacklog) == 0;
  if (!listens && errno == EADDRINUSE) return false;
  if (!listens) KJ_FAIL_SYSCALL("listen", errno, address.text().c_str());
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  KJ_SYSCALL(::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size));
  auto own = Address::from_sockaddr(bound);
  KJ_REQUIRE(own.ok(), "listener has no internet address");
  port_ = own->port();
  receiver_ = io_.lowLevelProvider->wrapListenSocketFd(kj::mv(socket));
  tasks_.add(accept_loop());
  return true;
}

void Link::expect(const SessionTerms& terms, uint32_t member, uint64_t floor, Remember remember) {
  close_all();
  auto pass = Pass::make(terms, kPartyKeeper, kPartyDeputy);
  KJ_REQUIRE(pass.ok(), "the session has no keys", pass.error().text().c_str());
  pass_ = std::move(*pass);
  attempts_ = Attempts(floor);
  remember_ = std::move(remember);
  member_ = member;
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
  return s.tryRead(&p, sizeof p, sizeof p)
      .then([this, preamble = kj::mv(preamble), stream = kj::mv(stream)](size_t n) mutable {
        const Preamble& q = *preamble;
        const char* why = n == sizeof q ? refuse(q) : "it has no preamble";
        if (why != nullptr) return say_dropped(why);
        KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { file(q, kj::mv(stream)); })) {
          cannot_take(*exception);
        }
      });
}

// Why the connection is none of ours, or nullptr.
const char* Link::refuse(const Preamble& preamble) const {
  if (!expecting_ || !pass_->opens(preamble)) return "it has no valid preamble";
  if (!attempts_.is_new(preamble)) return "its preamble has been used or is too old";
  if (preamble.member != member_) return "it is of another member";
  if ((preamble.cipher == kChannelPlain) != (wire_ == LinkWire::kPlain))
    return wire_ == LinkWire::kPlain ? "it is sealed" : "it is not sealed";
  return nullptr;
}

// The number first: if anything after it fails, the keeper makes another connection, with a higher one.
void Link::file(const Preamble& preamble, kj::Own<kj::AsyncIoStream> stream) {
  const ChannelKeys keys = [&] {
    auto made = pass_->keys(preamble, Pass::End::kListener);
    KJ_REQUIRE(made.ok(), "a connection has no keys", made.error().text().c_str());
    return *made;
  }();
  attempts_.take(preamble);
  if (!remember_(attempts_.highest())) return say_dropped("the process cannot remember it");
  KJ_IF_MAYBE (fd, stream->getFd()) {
    watch_connection(*fd, preamble.kind == kPreambleBulk ? kBulkSilence : kPeerSilence);
  }
  if (preamble.kind == kPreambleChannel) return channels_.add(preamble.slot, *stream, keys);
  arrived(preamble.kind == kPreambleSession ? session_ : bulk_, seal_stream(kj::mv(stream), keys));
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
