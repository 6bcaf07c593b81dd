// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/home_socket.h"

#include <doctest/doctest.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "common/net/preamble.h"
#include "libom/abi/sockets.h"

using namespace om;
using namespace om::deputy;

namespace {

constexpr uint8_t kSession[16] = {1, 2, 3};

std::array<UniqueFd, 2> socket_pair() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

FetchRequest request(uint32_t slot) {
  FetchRequest q{};
  q.magic = kFetchMagic;
  memcpy(q.session_id, kSession, sizeof kSession);
  q.slot = slot;
  return q;
}

void send(const UniqueFd& to, const void* data, size_t bytes, int attached = -1) {
  iovec iov{const_cast<void*>(data), bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr h{};
  h.msg_iov = &iov;
  h.msg_iovlen = 1;
  if (attached >= 0) {
    h.msg_control = control;
    h.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &attached, sizeof attached);
  }
  REQUIRE(sendmsg(to.get(), &h, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes));
}

// State of the other end of a connection: "open", "ended".
std::string state_of(const UniqueFd& fd) {
  char byte;
  const ssize_t n = recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return n == 0 ? "ended" : "open";
}

ChannelKeys keys(uint32_t slot) {
  ChannelKeys k{};
  k.cipher = kChannelAes256Gcm;
  memset(k.send, static_cast<int>(slot), sizeof k.send);
  memset(k.receive, static_cast<int>(slot + 100), sizeof k.receive);
  return k;
}

bool same(const ChannelKeys& a, const ChannelKeys& b) { return memcmp(&a, &b, sizeof a) == 0; }

struct Fixture {
  std::array<UniqueFd, 2> session = socket_pair(), channel = socket_pair();
  HomeSocket socket{
      kSession, kFirstMember, [this](uint32_t slot) {
        return slot == 5 ? ChannelEnd{std::move(channel[0]), keys(slot)} : ChannelEnd();
      }};
  Fixture() { socket.connect(std::move(session[1])); }
};

}  // namespace

TEST_CASE("an executor gets the channel of its slot, or is told to wait") {
  Fixture f;
  for (uint32_t slot : {5u, 6u}) {
    auto answer = socket_pair();
    const FetchRequest q = request(slot);
    send(f.session[0], &q, sizeof q, answer[1].get());
    answer[1].reset();
    f.socket.pump();
    FetchReply reply{9, 9, {}};
    REQUIRE(recv(answer[0].get(), &reply, sizeof reply, 0) == sizeof reply);
    CHECK(reply.verdict == (slot == 5 ? 0 : 1));
    CHECK(reply.slot == slot);
    CHECK(same(reply.keys, slot == 5 ? keys(5) : ChannelKeys{}));
    CHECK(state_of(answer[0]) == "ended");
  }
}

TEST_CASE("an executor without room for another descriptor is answered on the deputy socket") {
  Fixture f;
  for (uint32_t slot : {5u, 6u}) {
    FetchRequest q = request(slot);
    q.here = 1;
    send(f.session[0], &q, sizeof q);
    f.socket.pump();
    FetchReply reply{9, 9, {}};
    REQUIRE(recv(f.session[0].get(), &reply, sizeof reply, 0) == sizeof reply);
    CHECK(reply.verdict == (slot == 5 ? 0 : 1));
    CHECK(reply.slot == slot);
    CHECK(same(reply.keys, slot == 5 ? keys(5) : ChannelKeys{}));
  }
  CHECK(state_of(f.session[0]) == "open");
}

TEST_CASE("a channel that cannot be handed on is ended, so that the body makes another") {
  Fixture f;
  auto answer = socket_pair();
  const FetchRequest q = request(5);
  send(f.session[0], &q, sizeof q, answer[1].get());
  answer[0].reset();                                // the asker is gone
  const UniqueFd control(dup(f.channel[0].get()));  // as the link keeps one
  f.socket.pump();
  CHECK(state_of(f.channel[1]) == "ended");
}

TEST_CASE("what is no message of ours changes nothing") {
  Fixture f;
  const FetchRequest q = request(5);
  FetchRequest wrong = q;
  wrong.magic++;
  FetchRequest other = q;
  other.session_id[3]++;
  FetchRequest of_another = q;
  of_another.member = kFirstMember + 1;
  const char many[500]{};
  auto answer = socket_pair();
  send(f.session[0], &wrong, sizeof wrong, answer[1].get());
  send(f.session[0], &other, sizeof other, answer[1].get());
  send(f.session[0], &of_another, sizeof of_another, answer[1].get());
  send(f.session[0], &q, sizeof q);
  send(f.session[0], many, sizeof many);
  send(f.session[0], many, 3, answer[1].get());
  const HomeMessage foreign{kHomeKick, 6, kFirstMember + 1, 0, 8};
  send(f.session[0], &foreign, sizeof foreign);
  const HomeMessage kick{kHomeKick, 7, kFirstMember, 0, 8};
  send(f.session[0], &kick, sizeof kick);
  answer[1].reset();
  f.socket.pump();
  CHECK(state_of(answer[0]) == "ended");
  CHECK(f.channel[0].valid());
  CHECK_FALSE(f.socket.has_ended());
  const auto message = f.socket.next();
  REQUIRE(message);
  CHECK(message->type == kHomeKick);
  CHECK(message->slot == 7);
  CHECK_FALSE(f.socket.next());
  f.session[0].reset();
  f.socket.pump();
  CHECK(f.socket.has_ended());
}
