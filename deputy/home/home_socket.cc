// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/home_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/base/log.h"
#include "libom/abi/sockets.h"

namespace om::deputy {
namespace {

bool send_with_fds(int socket, const void* data, size_t bytes, const int* fds, size_t count) {
  iovec iov{const_cast<void*>(data), bytes};
  std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
  msghdr h{};
  h.msg_iov = &iov;
  h.msg_iovlen = 1;
  if (count > 0) {
    h.msg_control = control.data();
    h.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
  }
  return ::sendmsg(socket, &h, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes);
}

// One message, and the descriptor that came with it if there was one. -1 with errno, 0 at the end.
ssize_t receive(int socket, void* data, size_t bytes, UniqueFd& attached) {
  iovec iov{data, bytes};
  // Room for one descriptor: the kernel drops what is beyond.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr h{};
  h.msg_iov = &iov;
  h.msg_iovlen = 1;
  h.msg_control = control;
  h.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return n;
  const cmsghdr* c = CMSG_FIRSTHDR(&h);
  if (c != nullptr && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
      c->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    attached.reset(fd);
  }
  // A longer message than any of ours, of which the rest is lost.
  return (h.msg_flags & MSG_TRUNC) != 0 ? static_cast<ssize_t>(bytes) + 1 : n;
}

}  // namespace

HomeSocket::HomeSocket(const uint8_t (&session)[16], uint32_t member, Channels channels)
    : channels_(std::move(channels)), member_(member) {
  std::copy(std::begin(session), std::end(session), session_id_);
}

void HomeSocket::connect(UniqueFd fd) {
  fd_ = std::move(fd);
  ended_ = false;
}

void HomeSocket::serve(const FetchRequest& q, int answer_to) {
  if (q.magic != kFetchMagic || q.member != member_ ||
      memcmp(q.session_id, session_id_, sizeof session_id_) != 0)
    return;
  FetchReply reply{1, q.slot, {}};
  const ChannelEnd channel = channels_(q.slot);
  const bool found = channel.fd.valid();
  if (found) reply = {0, q.slot, channel.keys};
  const int fd = channel.fd.get();
  if (send_with_fds(answer_to, &reply, sizeof reply, &fd, found ? 1 : 0)) return;
  log_warn("home", "a channel could not be handed to thread slot {}", q.slot);
  // It was the only descriptor with which anybody at home could use it; the body counts on the connection until it
  // ends, and makes another then.
  if (found) ::shutdown(fd, SHUT_RDWR);
}

void HomeSocket::pump() {
  // The descriptor stays open after the end: an event loop may be watching it.
  while (fd_.valid() && !ended_) {
    union {
      HomeMessage message;
      FetchRequest request;
    } in{};
    UniqueFd attached;
    const ssize_t n = receive(fd_.get(), &in, sizeof in, attached);
    if (n == sizeof in.message) {
      if (in.message.member == member_) messages_.push_back(in.message);
    } else if (n == sizeof in.request) {
      // Without a descriptor that was to be there is nobody to answer: ours were used up, and the asker sees its end
      // closed.
      if (in.request.here != 0)
        serve(in.request, fd_.get());
      else if (attached.valid())
        serve(in.request, attached.get());
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else if (n <= 0) {
      ended_ = true;
    }
  }
}

std::optional<HomeMessage> HomeSocket::next() {
  if (messages_.empty()) return std::nullopt;
  const HomeMessage m = messages_.front();
  messages_.pop_front();
  return m;
}

Result<void> HomeSocket::send_channels(
    const std::vector<std::pair<uint32_t, ChannelEnd>>& channels) {
  size_t i = 0;
  do {
    ChannelBatch batch{};
    int fds[kChannelBatch];
    for (; i < channels.size() && batch.count < kChannelBatch; i++) {
      batch.slot[batch.count] = channels[i].first;
      batch.keys[batch.count] = channels[i].second.keys;
      fds[batch.count++] = channels[i].second.fd.get();
    }
    batch.last = i == channels.size() ? 1 : 0;
    if (!send_with_fds(fd_.get(), &batch, sizeof batch, fds, batch.count))
      return errno_error("hand over channels");
  } while (i < channels.size());
  return {};
}

}  // namespace om::deputy
