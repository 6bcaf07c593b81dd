// SPDX-License-Identifier: Apache-2.0
#include "guest/home_link.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <kj/debug.h>

#include <algorithm>

#include "common/net/connection.h"

namespace om::guest {
namespace {

constexpr auto kAttempt = 1 * kj::SECONDS;

UniqueFd duplicate(kj::AsyncIoStream& stream) {
  int from = -1, fd = -1;
  KJ_IF_MAYBE (number, stream.getFd()) {
    from = *number;
  }
  KJ_SYSCALL(fd = ::fcntl(from, F_DUPFD_CLOEXEC, 3));
  return UniqueFd(fd);
}

}  // namespace

HomeLink::HomeLink(kj::AsyncIoContext& io, const Address& home, const uint8_t (&session)[16],
                   const uint8_t (&token)[16])
    : io_(io), home_(home), pass_{{}, {}, kPartyKeeper, kPartyDeputy} {
  memcpy(pass_.session, session, sizeof pass_.session);
  memcpy(pass_.token, token, sizeof pass_.token);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> HomeLink::connect(PreambleKind kind, int attempts,
                                                          uint32_t slot, uint32_t epoch) {
  Preamble preamble = pass_.preamble(kind);
  preamble.slot = slot;
  preamble.epoch = epoch;
  return attempt(preamble, attempts);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> HomeLink::attempt(const Preamble& preamble, int left) {
  return io_.provider->getTimer()
      .timeoutAfter(kAttempt, attempt(preamble))
      .catch_([this, preamble, left](kj::Exception&& e) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        // Again only if its time was over: whoever refuses us does so at once.
        if (left <= 1 || e.getType() != kj::Exception::Type::OVERLOADED) return kj::mv(e);
        return attempt(preamble, left - 1);
      });
}

kj::Promise<kj::Own<kj::AsyncIoStream>> HomeLink::attempt(const Preamble& preamble) {
  auto address = io_.provider->getNetwork().getSockaddr(home_.raw(), home_.raw_size());
  auto& a = *address;
  return a.connect()
      .attach(kj::mv(address))
      .then([preamble = kj::heap<Preamble>(preamble)](kj::Own<kj::AsyncIoStream>&& stream) mutable {
        KJ_IF_MAYBE (fd, stream->getFd()) {
          watch_connection(*fd, preamble->kind == kPreambleBulk ? kBulkSilence : kPeerSilence);
        }
        auto& s = *stream;
        auto& p = *preamble;
        return s.write(&p, sizeof p)
            .attach(kj::mv(preamble))
            .then([stream = kj::mv(stream)]() mutable { return kj::mv(stream); });
      });
}

kj::Promise<void> HomeLink::connect_pages() {
  return connect(kPreambleBulk, kAttempts).then([this](kj::Own<kj::AsyncIoStream>&& stream) {
    pages_ = kj::mv(stream);
  });
}

kj::Promise<UniqueFd> HomeLink::channel(uint32_t slot, uint32_t epoch, int attempts) {
  return connect(kPreambleChannel, attempts, slot, epoch)
      .then([this, slot](kj::Own<kj::AsyncIoStream>&& stream) {
        UniqueFd fd = duplicate(*stream);
        channels_[slot] = duplicate(*stream);
        stream = nullptr;
        int flags = 0;
        KJ_SYSCALL(flags = ::fcntl(fd.get(), F_GETFL));
        KJ_SYSCALL(::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK));
        return fd;
      });
}

void HomeLink::cut_channels() {
  for (auto& [slot, fd] : channels_) ::shutdown(fd.get(), SHUT_RDWR);
}

bool HomeLink::has_channel() const {
  return std::any_of(channels_.begin(), channels_.end(),
                     [](const auto& channel) { return is_connected(channel.second.get()); });
}

std::vector<uint32_t> HomeLink::broken_channels() const {
  std::vector<pollfd> fds;
  std::vector<uint32_t> slots, broken;
  for (const auto& [slot, fd] : channels_) {
    fds.push_back({fd.get(), POLLRDHUP, 0});
    slots.push_back(slot);
  }
  if (fds.empty() || ::poll(fds.data(), fds.size(), 0) <= 0) return broken;
  for (size_t i = 0; i < fds.size(); i++) {
    if (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) broken.push_back(slots[i]);
  }
  return broken;
}

}  // namespace om::guest
