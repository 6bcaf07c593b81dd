// SPDX-License-Identifier: Apache-2.0
#include "guest/home_link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <kj/debug.h>

#include <algorithm>

#include "common/net/connection.h"

namespace om::guest {
namespace {

UniqueFd duplicate(kj::AsyncIoStream& stream) {
  int from = -1, fd = -1;
  KJ_IF_MAYBE (number, stream.getFd()) {
    from = *number;
  }
  KJ_SYSCALL(fd = ::fcntl(from, F_DUPFD_CLOEXEC, 3));
  return UniqueFd(fd);
}

}  // namespace

kj::Promise<void> HomeLink::connect_pages() {
  return dialer_.connect({kPreambleBulk, member_}, Dialer::kAttempts)
      .then([this](kj::Own<kj::AsyncIoStream>&& stream) { pages_ = kj::mv(stream); });
}

kj::Promise<ChannelEnd> HomeLink::channel(uint32_t slot, uint32_t epoch, int attempts) {
  return dialer_.connect_bare({kPreambleChannel, member_, slot, epoch}, attempts)
      .then([this, slot](Dialer::Bare&& bare) {
        ChannelEnd end{duplicate(*bare.stream), bare.keys};
        channels_[slot] = duplicate(*bare.stream);
        bare.stream = nullptr;
        int flags = 0;
        KJ_SYSCALL(flags = ::fcntl(end.fd.get(), F_GETFL));
        KJ_SYSCALL(::fcntl(end.fd.get(), F_SETFL, flags & ~O_NONBLOCK));
        return end;
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
