// SPDX-License-Identifier: Apache-2.0
//
// abi/rest.h and abi/waiting.h: what is left of a call that a stop has ended, and the calls that complete it, against a
// scripted kernel.
#include "libom/abi/rest.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <deque>
#include <vector>

namespace om {
namespace {

using Rest = RestOfCall<4>;
constexpr int64_t kSecond = 1000000000;

struct Made {
  uint64_t nr, args[6];
  int64_t time_ns;            // of a ppoll
  std::vector<iovec> vector;  // of a message
};

struct Kernel {
  std::deque<long> answers;
  mutable std::vector<Made> made{};
  uint64_t now = 5 * kSecond;

  long call(uint64_t nr, const uint64_t args[6]) {
    Made m{nr, {}, -1, {}};
    memcpy(m.args, args, sizeof m.args);
    if (nr == kNr_ppoll) {
      const auto* t = reinterpret_cast<const int64_t*>(args[2]);
      m.time_ns = t[0] * kSecond + t[1];
    }
    if (nr == kNr_sendmsg || nr == kNr_recvmsg) {
      const auto* h = reinterpret_cast<const msghdr*>(args[1]);
      m.vector.assign(h->msg_iov, h->msg_iov + h->msg_iovlen);
    }
    made.push_back(m);
    REQUIRE(!answers.empty());
    const long r = answers.front();
    answers.pop_front();
    return r;
  }
  bool again(long) const { return false; }
  bool stopped() const { return false; }
  uint64_t now_ns() const { return now; }
  bool load(uint64_t from, uint64_t* to, uint64_t words) const {
    if (from == 0) return false;
    memcpy(to, reinterpret_cast<const void*>(from), words * sizeof *to);
    return true;
  }
  void store_u32(uint64_t to, uint32_t value) const {
    memcpy(reinterpret_cast<void*>(to), &value, sizeof value);
  }
};

uint64_t at(const void* p) { return reinterpret_cast<uint64_t>(p); }

// The result of a call whose first part was `done`.
long complete(Kernel& k, uint64_t nr, std::array<uint64_t, 6> args, uint64_t done,
              SocketTime socket = {}, int64_t limit_ns = -1) {
  Rest f{};
  REQUIRE(prepare_rest(f, k, at(&f), nr, args.data(), done, socket, limit_ns));
  const long r = do_rest(f, k);
  CHECK(k.answers.empty());
  return r;
}

constexpr SocketTime timeout(int64_t all, int64_t left) { return {all, left, false, false}; }

TEST_CASE("the rest of a buffer") {
  Kernel k{{70}};
  CHECK(complete(k, kNr_write, {3, 1000, 100}, 30) == 100);
  CHECK(k.made[0].nr == kNr_write);
  CHECK(k.made[0].args[1] == 1030);
  CHECK(k.made[0].args[2] == 70);
  Kernel error{{-EPIPE}};
  CHECK(complete(error, kNr_write, {3, 1000, 100}, 30) == 30);
  Kernel splice{{5}};
  CHECK(complete(splice, kNr_splice, {3, 0, 4, 0, 50, 0}, 45) == 50);
  CHECK(splice.made[0].args[4] == 5);
}

TEST_CASE("the rest of a vector begins within an element") {
  iovec v[3] = {{reinterpret_cast<void*>(0x1000), 10},
                {reinterpret_cast<void*>(0x2000), 10},
                {reinterpret_cast<void*>(0x3000), 10}};
  msghdr h{};
  h.msg_iov = v;
  h.msg_iovlen = 3;
  h.msg_name = v;
  Kernel k{{16}};
  CHECK(complete(k, kNr_sendmsg, {3, at(&h), MSG_EOR}, 14) == 30);
  REQUIRE(k.made[0].vector.size() == 2);
  CHECK(at(k.made[0].vector[0].iov_base) == 0x2004);
  CHECK(k.made[0].vector[0].iov_len == 6);
  CHECK(k.made[0].args[2] == MSG_EOR);
  CHECK(reinterpret_cast<const msghdr*>(k.made[0].args[1]) != &h);
  Kernel whole{{16}};
  CHECK(complete(whole, kNr_writev, {3, at(v), 3}, 14) == 30);
  CHECK(whole.made[0].args[2] == 2);
}

TEST_CASE("too many elements, or unreadable ones, cannot be described") {
  std::vector<iovec> v(5, {reinterpret_cast<void*>(0x1000), 10});
  Kernel k;
  Rest f{};
  const uint64_t args[6] = {3, at(v.data()), 5, 0, 0, 0}, nowhere[6] = {3, 0, 5, 0, 0, 0};
  CHECK_FALSE(prepare_rest(f, k, at(&f), kNr_writev, args, 1, {}, -1));
  CHECK(prepare_rest(f, k, at(&f), kNr_writev, args, 10, {}, -1));
  CHECK_FALSE(prepare_rest(f, k, at(&f), kNr_writev, nowhere, 1, {}, -1));
}

TEST_CASE("under a timeout the rest of it is spent in ppoll, and the call does not wait") {
  Kernel k{{1, -EAGAIN, 0, 1, 8}};
  CHECK(complete(k, kNr_read, {3, 1000, 100, 7, 7, 7}, 0, timeout(4 * kSecond, kSecond)) == 8);
  CHECK(k.made[0].nr == kNr_ppoll);
  CHECK(k.made[0].time_ns == kSecond);
  CHECK(k.made[1].nr == kNr_recvfrom);
  CHECK(k.made[1].args[3] == MSG_DONTWAIT);
  CHECK(k.made[1].args[4] == 0);
  // Another thread has taken it: a pause that counts.
  CHECK(k.made[2].args[1] == 0);
  CHECK(k.made[3].time_ns == kSecond - k.made[2].time_ns);
}

TEST_CASE("when the time is over what is there is taken") {
  Kernel none{{0, -EAGAIN}};
  CHECK(complete(none, kNr_recvfrom, {3, 1000, 100, MSG_PEEK}, 0, timeout(kSecond, 1)) == -EAGAIN);
  CHECK(none.made[1].args[3] == (MSG_PEEK | MSG_DONTWAIT));
  Kernel some{{0, 3}};
  CHECK(complete(some, kNr_recvfrom, {3, 1000, 100, 0}, 0, timeout(kSecond, 1)) == 3);
  Kernel accept{{0}};
  CHECK(complete(accept, kNr_accept, {3, 0, 0}, 0, timeout(kSecond, 1)) == -EAGAIN);
  Kernel connect{{0}};
  CHECK(complete(connect, kNr_connect, {3, 1000, 16}, 0, timeout(kSecond, 1)) == -EINPROGRESS);
  Kernel signal{{-EINTR}};
  CHECK(complete(signal, kNr_read, {3, 1000, 100}, 0, timeout(kSecond, 1)) == -EINTR);
}

TEST_CASE("a write under a timeout goes on until all is written or the time is over") {
  iovec v[2] = {{reinterpret_cast<void*>(0x1000), 10}, {reinterpret_cast<void*>(0x2000), 10}};
  Kernel k{{1, 4, 1, 6, 0, -EAGAIN}};
  CHECK(complete(k, kNr_writev, {3, at(v), 2}, 5, timeout(kSecond, 1)) == 15);
  CHECK(k.made[1].nr == kNr_sendmsg);
  CHECK(at(k.made[1].vector[0].iov_base) == 0x1005);
  REQUIRE(k.made[3].vector.size() == 2);
  CHECK(at(k.made[3].vector[0].iov_base) == 0x1009);
  CHECK(at(k.made[5].vector[0].iov_base) == 0x2005);
}

struct Batch {
  iovec v[3] = {{reinterpret_cast<void*>(0x1000), 10},
                {reinterpret_cast<void*>(0x2000), 20},
                {reinterpret_cast<void*>(0x3000), 30}};
  mmsghdr m[3] = {};
  Batch() {
    for (int i = 0; i < 3; i++) {
      m[i].msg_hdr.msg_iov = &v[i];
      m[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

TEST_CASE("of an array the message that was cut comes first") {
  Batch b;
  b.m[0].msg_len = 10;
  b.m[1].msg_len = 5;
  Kernel k{{15, 1}};
  b.m[2].msg_len = 30;
  CHECK(complete(k, kNr_sendmmsg, {3, at(b.m), 3, 0}, 2) == 3);
  CHECK(k.made[0].nr == kNr_sendmsg);
  CHECK(at(k.made[0].vector[0].iov_base) == 0x2005);
  CHECK(b.m[1].msg_len == 20);
  CHECK(k.made[1].nr == kNr_sendmmsg);
  CHECK(k.made[1].args[1] == at(&b.m[2]));
  CHECK(k.made[1].args[2] == 1);
  Kernel stuck{{7}};
  b.m[1].msg_len = 5;
  CHECK(complete(stuck, kNr_sendmmsg, {3, at(b.m), 3, 0}, 2) == 2);
  CHECK(b.m[1].msg_len == 12);
}

TEST_CASE("recvmmsg: the stop that the socket has filed, and the time of its own") {
  Batch b;
  b.m[0].msg_len = 10;
  Kernel k{{-512, 2}};
  CHECK(complete(k, kNr_recvmmsg, {3, at(b.m), 3, 0, 1000}, 1, {}, 2 * kSecond) == 3);
  CHECK(k.made[1].args[1] == at(&b.m[1]));
  CHECK(k.made[1].args[2] == 2);
  CHECK(k.made[1].args[4] != 1000);
  Kernel error{{-ECONNREFUSED}};
  CHECK(complete(error, kNr_recvmmsg, {3, at(b.m), 3, 0, 0}, 1) == 1);
  Kernel timed{{1, -EINTR, 1, 1, 1, 1}};
  CHECK(complete(timed, kNr_recvmmsg, {3, at(b.m), 3, 0, 0}, 1, timeout(4 * kSecond, kSecond)) ==
        3);
  CHECK(timed.made[0].time_ns == kSecond);
  CHECK(timed.made[4].time_ns == 4 * kSecond);
  CHECK(timed.made[5].args[2] == 1);
}

TEST_CASE("what is a transfer") {
  const uint64_t none[6] = {}, all[6] = {0, 0, MSG_WAITALL, MSG_WAITALL, 0, 0};
  const uint64_t one[6] = {0, 0, 0, MSG_WAITFORONE, 0, 0},
                 offset[6] = {0, 0, 0, ~uint64_t{0}, 0, 0};
  CHECK(transfer_of(kNr_recvfrom, none).shape == Shape::kNone);
  CHECK(transfer_of(kNr_recvfrom, all).shape == Shape::kBuffer);
  CHECK(transfer_of(kNr_recvmmsg, none).shape == Shape::kMessages);
  CHECK(transfer_of(kNr_recvmmsg, one).shape == Shape::kNone);
  CHECK(transfer_of(kNr_pwritev2, none).shape == Shape::kNone);
  CHECK(transfer_of(kNr_pwritev2, offset).shape == Shape::kVector);
  CHECK(transfer_of(kNr_read, none).shape == Shape::kNone);
  CHECK_FALSE(socket_wait_of(kNr_poll, none).waits);
}

}  // namespace
}  // namespace om
