// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/link.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <kj/debug.h>

#include <algorithm>

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

// Constant time: the token is a secret.
bool same(const uint8_t (&a)[16], const uint8_t (&b)[16]) {
  uint8_t difference = 0;
  for (size_t i = 0; i < sizeof a; i++) difference |= static_cast<uint8_t>(a[i] ^ b[i]);
  return difference == 0;
}

UniqueFd duplicate(kj::AsyncIoStream& stream) {
  int from = -1;
  KJ_IF_MAYBE (fd, stream.getFd()) {
    from = *fd;
  }
  int fd = -1;
  KJ_SYSCALL(fd = ::fcntl(from, F_DUPFD_CLOEXEC, 3));
  return UniqueFd(fd);
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

void Link::expect(const SessionKeys& keys) {
  close_all();
  keys_ = keys;
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
  cut_channels();
  channels_.clear();
  session_ = Waiting();
  bulk_ = Waiting();
  channels_done_ = nullptr;
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Link::session() { return next(session_); }
kj::Promise<kj::Own<kj::AsyncIoStream>> Link::bulk() { return next(bulk_); }

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

kj::Promise<void> Link::channels(uint32_t count) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  wanted_channels_ = count;
  channels_done_ = kj::mv(paf.fulfiller);
  KJ_IF_MAYBE (exception, failed_) {
    return kj::cp(*exception);
  }
  check_channels();
  return kj::mv(paf.promise);
}

void Link::check_channels() {
  for (uint32_t slot = 0; slot < wanted_channels_; slot++) {
    auto it = channels_.find(slot);
    if (it == channels_.end() || !it->second.fresh.valid()) return;
  }
  KJ_IF_MAYBE (done, channels_done_) {
    (*done)->fulfill();
    channels_done_ = nullptr;
  }
}

UniqueFd Link::take_channel(uint32_t slot) {
  auto it = channels_.find(slot);
  return it == channels_.end() ? UniqueFd() : std::move(it->second.fresh);
}

bool Link::has_channel() const {
  return std::any_of(channels_.begin(), channels_.end(), [](const auto& channel) {
    const int fd = channel.second.control.get();
    return fd >= 0 && is_connected(fd);
  });
}

void Link::cut_channels() {
  for (auto& [slot, channel] : channels_) {
    if (channel.control.valid()) ::shutdown(channel.control.get(), SHUT_RDWR);
    channel.fresh.reset();
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
  KJ_IF_MAYBE (done, channels_done_) {
    (*done)->reject(kj::cp(exception));
    channels_done_ = nullptr;
  }
}

kj::Promise<void> Link::greet(kj::Own<kj::AsyncIoStream> stream) {
  auto preamble = kj::heap<Preamble>();
  auto& p = *preamble;
  auto& s = *stream;
  static_assert(sizeof(Preamble) <= kMaxGreeting);
  return s.tryRead(&p, sizeof p, sizeof p)
      .then([this, preamble = kj::mv(preamble), stream = kj::mv(stream)](size_t n) mutable {
        const Preamble& q = *preamble;
        if (n != sizeof q || q.magic != kPreambleMagic || !expecting_ ||
            !same(q.session, keys_.session) || !same(q.token, keys_.token)) {
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
  switch (preamble.kind) {
    case kPreambleSession:
      arrived(session_, kj::mv(stream));
      break;
    case kPreambleBulk:
      arrived(bulk_, kj::mv(stream));
      break;
    case kPreambleChannel:
      if (preamble.slot < kMaxSlots) file_channel(preamble.slot, kj::mv(stream));
      break;
    default:
      say_dropped("its kind is unknown");
      break;
  }
}

void Link::file_channel(uint32_t slot, kj::Own<kj::AsyncIoStream> stream) {
  UniqueFd fresh = duplicate(*stream);
  UniqueFd control = duplicate(*stream);
  stream = nullptr;
  // The executor reads and writes it blocking; KJ is done with it.
  int flags = 0;
  KJ_SYSCALL(flags = ::fcntl(fresh.get(), F_GETFL));
  KJ_SYSCALL(::fcntl(fresh.get(), F_SETFL, flags & ~O_NONBLOCK));
  Channel& channel = channels_[slot];
  // The executor of this slot may still sit in a read of the connection that this one replaces.
  if (channel.control.valid()) ::shutdown(channel.control.get(), SHUT_RDWR);
  channel.fresh = std::move(fresh);
  channel.control = std::move(control);
  check_channels();
}

// Anybody can connect, as often as he likes.
void Link::say_dropped(const std::string& why) {
  const auto now = std::chrono::steady_clock::now();
  dropped_++;
  if (dropped_ > 1 && now - dropped_said_ < kSayAgain) return;
  if (dropped_ == 1) {
    log_warn("link", "a connection was dropped: {}", why);
  } else {
    log_warn("link", "a connection was dropped: {}; {} in all", why, dropped_);
  }
  dropped_said_ = now;
}

void Link::Errors::taskFailed(kj::Exception&& exception) {
  link_.say_dropped(one_line(exception.getDescription()));
}

}  // namespace om::deputy
