// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/channels.h"

#include <fcntl.h>
#include <kj/debug.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/net/connection.h"

namespace om::deputy {
namespace {

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

void Channels::add(uint32_t slot, kj::AsyncIoStream& stream, const ChannelKeys& keys) {
  UniqueFd fresh = duplicate(stream);
  UniqueFd control = duplicate(stream);
  // The executor reads and writes it blocking; KJ is done with it.
  int flags = 0;
  KJ_SYSCALL(flags = ::fcntl(fresh.get(), F_GETFL));
  KJ_SYSCALL(::fcntl(fresh.get(), F_SETFL, flags & ~O_NONBLOCK));
  Channel& channel = by_slot_[slot];
  // The executor of this slot may still sit in a read of the connection that this one replaces.
  if (channel.control.valid()) ::shutdown(channel.control.get(), SHUT_RDWR);
  channel.fresh = {std::move(fresh), keys};
  channel.control = std::move(control);
  check();
}

kj::Promise<void> Channels::wait_for(uint32_t count) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  wanted_ = count;
  all_there_ = kj::mv(paf.fulfiller);
  check();
  return kj::mv(paf.promise);
}

void Channels::check() {
  for (uint32_t slot = 0; slot < wanted_; slot++) {
    auto it = by_slot_.find(slot);
    if (it == by_slot_.end() || !it->second.fresh.fd.valid()) return;
  }
  KJ_IF_MAYBE (there, all_there_) {
    (*there)->fulfill();
    all_there_ = nullptr;
  }
}

void Channels::fail(const kj::Exception& exception) {
  KJ_IF_MAYBE (there, all_there_) {
    (*there)->reject(kj::cp(exception));
    all_there_ = nullptr;
  }
}

ChannelEnd Channels::take(uint32_t slot) {
  auto it = by_slot_.find(slot);
  return it == by_slot_.end() ? ChannelEnd() : std::exchange(it->second.fresh, {});
}

bool Channels::is_any_connected() const {
  return std::any_of(by_slot_.begin(), by_slot_.end(), [](const auto& channel) {
    const int fd = channel.second.control.get();
    return fd >= 0 && is_connected(fd);
  });
}

void Channels::cut() {
  for (auto& [slot, channel] : by_slot_) {
    if (channel.control.valid()) ::shutdown(channel.control.get(), SHUT_RDWR);
    channel.fresh = {};
  }
}

void Channels::clear() {
  cut();
  by_slot_.clear();
  all_there_ = nullptr;
}

}  // namespace om::deputy
