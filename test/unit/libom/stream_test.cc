// SPDX-License-Identifier: Apache-2.0
//
// safe/stream.h over a socket pair, with a kernel that can be told to interrupt, to transfer only a part, or to report
// the caller's memory missing.
#include "libom/safe/stream.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <string>
#include <vector>

#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"

namespace {

using namespace om;
using safe::Stream;

// Fates of the next calls: 0 the call is made, > 0 it transfers at most that, < 0 its result.
std::deque<long> g_fates;
std::vector<long> g_made;
const char* g_missing;  // memory that the kernel does not find, kMissing bytes
constexpr size_t kMissing = 64;

long kernel(long nr, long fd, long at, long n, long flags) {
  g_made.push_back(nr);
  if (!g_fates.empty()) {
    const long fate = g_fates.front();
    g_fates.pop_front();
    if (fate < 0) return fate;
    if (fate > 0 && n > fate) n = fate;
  }
  const auto* p = reinterpret_cast<const char*>(at);
  if (g_missing != nullptr && nr != kNr_sendmsg && p + n > g_missing && p < g_missing + kMissing) {
    if (p >= g_missing) return -EFAULT;
    n = g_missing - p;
  }
  const long r = nr == kNr_sendto
                     ? send(static_cast<int>(fd), p, static_cast<size_t>(n), MSG_NOSIGNAL)
                     : syscall(nr, fd, at, n, flags, 0, 0);
  return r < 0 ? -errno : r;
}

long copy(void* to, const void* from, size_t n) {
  const auto missing = [&](const void* p) {
    const auto* at = static_cast<const char*>(p);
    return g_missing != nullptr && at + n > g_missing && at < g_missing + kMissing;
  };
  if (missing(to) || missing(from)) return -EFAULT;
  memcpy(to, from, n);
  return 0;
}

std::string pattern(size_t n, char first = 'a') {
  std::string s(n, 0);
  for (size_t i = 0; i < n; i++) s[i] = static_cast<char>(first + i % 23);
  return s;
}

constexpr size_t kIn = 32, kOut = 16;

struct Pair {
  StreamState state{-1, kStreamPlain, 0, 0};
  safe::Seal seal{};
  uint8_t in[kIn], out[kOut];
  int peer = -1;
  Stream::Manner manner;

  explicit Pair(Stream::Manner how = Stream::Manner::kSend) : manner(how) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    state.fd = ends[0];
    peer = ends[1];
    g_fates.clear();
    g_made.clear();
    g_missing = nullptr;
  }
  ~Pair() {
    close(state.fd);
    if (peer >= 0) close(peer);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // A new one each time, as in gate and executor.
  Stream stream() { return {state, seal, {in, kIn}, {out, kOut}, copy, manner}; }
  void send(const std::string& s) {
    REQUIRE(write(peer, s.data(), s.size()) == static_cast<ssize_t>(s.size()));
  }
  void hang_up() {
    close(peer);
    peer = -1;
  }
  std::string sent() {
    std::string s(4096, 0);
    const ssize_t n = recv(peer, s.data(), s.size(), MSG_DONTWAIT);
    return s.substr(0, n < 0 ? 0 : static_cast<size_t>(n));
  }
  std::string here() {
    const Stream s = stream();
    return {reinterpret_cast<const char*>(s.data()), s.available()};
  }
};

}  // namespace

extern "C" {

long om_syscall(long nr, long a, long b, long c, long d, long, long) {
  return kernel(nr, a, b, c, d);
}

long om_window(volatile uint32_t* cancel, long nr, const uint64_t* args) {
  if (*cancel != 0) return om::safe::kAborted;
  return kernel(nr, static_cast<long>(args[0]), static_cast<long>(args[1]),
                static_cast<long>(args[2]), static_cast<long>(args[3]));
}

}  // extern "C"

TEST_CASE("fill reads what is there, and waits in parts for the rest") {
  Pair p;
  p.send("abcdef");
  g_fates = {2, -EINTR, 1, -EAGAIN};
  CHECK(p.stream().fill(5) == 0);
  CHECK(p.here() == "abcdef");
  CHECK(g_made.size() == 5);
  CHECK(p.stream().fill(5) == 0);  // nothing has been taken: no call
  CHECK(g_made.size() == 5);
}

TEST_CASE("what is left moves to the front of the buffer if the rest needs the room") {
  Pair p;
  const std::string bytes = pattern(kIn + 20);
  p.send(bytes);
  CHECK(p.stream().fill(kIn) == 0);
  CHECK(p.here() == bytes.substr(0, kIn));
  CHECK(p.stream().take(nullptr, kIn - 4) == 0);
  CHECK(p.here() == bytes.substr(kIn - 4, 4));
  CHECK(p.stream().fill(24) == 0);
  CHECK(p.here() == bytes.substr(kIn - 4));
  CHECK(p.stream().take(nullptr, 24) == 0);
  CHECK(p.stream().available() == 0);
}

TEST_CASE("the other end closes") {
  Pair p;
  p.send("abc");
  p.hang_up();
  CHECK(p.stream().fill(3) == 0);
  CHECK(p.stream().fill(4) == safe::kLost);
  char to[8];
  CHECK(p.stream().take(to, 4) == safe::kLost);
  Pair q(Stream::Manner::kSend);
  q.hang_up();
  Stream s = q.stream();
  CHECK(s.put("abc", 3) == 0);
  CHECK(s.flush() == safe::kLost);
}

TEST_CASE("a wait can be called off, and nothing is lost") {
  Pair p;
  uint32_t cancel = 0;
  p.send("abc");
  CHECK(p.stream().fill(3, &cancel) == 0);
  cancel = 1;
  CHECK(p.stream().fill(4, &cancel) == safe::kAborted);
  CHECK(p.here() == "abc");
  cancel = 0;
  p.send("d");
  CHECK(p.stream().fill(4, &cancel) == 0);
  CHECK(p.here() == "abcd");
}

TEST_CASE("take begins with the buffer and reads the rest into place") {
  Pair p;
  const std::string bytes = pattern(5 * kIn);
  p.send(bytes);
  CHECK(p.stream().fill(8) == 0);
  std::string to(4 * kIn, 0);
  g_fates = {3, -EINTR};
  CHECK(p.stream().take(to.data(), to.size()) == 0);
  CHECK(to == bytes.substr(0, to.size()));
  CHECK(p.stream().available() == 0);
  CHECK(p.stream().fill(kIn) == 0);
  CHECK(p.here() == bytes.substr(to.size()));
}

TEST_CASE("take of nothing and of what is dropped, beyond the buffer") {
  Pair p;
  p.send(pattern(3 * kIn) + "end");
  CHECK(p.stream().take(nullptr, 0) == 0);
  CHECK(g_made.empty());
  CHECK(p.stream().take(nullptr, 3 * kIn) == 0);
  CHECK(p.stream().fill(3) == 0);
  CHECK(p.here() == "end");
}

TEST_CASE("bytes for memory that is not there are gone, those before it are in place") {
  Pair p;
  std::string to(3 * kMissing, '.');
  const std::string bytes = pattern(to.size());
  g_missing = to.data() + kMissing;
  p.send(bytes + "end");
  CHECK(p.stream().take(to.data(), to.size()) == -EFAULT);
  CHECK(to.substr(0, kMissing) == bytes.substr(0, kMissing));
  CHECK(to.substr(kMissing) == std::string(2 * kMissing, '.'));
  CHECK(p.stream().fill(3) == 0);
  CHECK(p.here() == "end");
  // The same with data that was received earlier.
  CHECK(p.stream().take(const_cast<char*>(g_missing), 2) == -EFAULT);
  CHECK(p.here() == "d");
}

TEST_CASE("what is put is sent with the flush, in either manner") {
  for (const Stream::Manner manner : {Stream::Manner::kSend, Stream::Manner::kWrite}) {
    Pair p(manner);
    Stream s = p.stream();
    memcpy(s.room(), "head", 4);
    s.queue(4);
    CHECK(s.room_left() == kOut - 4);
    CHECK(s.put("tail", 4) == 0);
    CHECK(p.sent().empty());
    g_fates = {3, -EINTR, -EAGAIN};
    CHECK(s.flush() == 0);
    CHECK(p.sent() == "headtail");
    CHECK(s.room_left() == kOut);
    CHECK(s.flush() == 0);
    CHECK(g_made == std::vector<long>(4, manner == Stream::Manner::kSend ? kNr_sendto : kNr_write));
  }
}

TEST_CASE("runs without room are copied if short, sent from where they lie if long") {
  Pair p(Stream::Manner::kWrite);
  const std::string shorter = pattern(kOut / 2 - 1, 'A'), longer = pattern(3 * kOut);
  Stream s = p.stream();
  CHECK(s.put(longer.data(), kOut - 2) == 0);
  CHECK(s.put(shorter.data(), shorter.size()) == 0);
  CHECK(g_made.size() == 1);
  CHECK(s.room_left() == kOut - (shorter.size() - 2));
  CHECK(s.put(longer.data(), longer.size()) == 0);
  CHECK(g_made.size() == 3);
  CHECK(s.room_left() == kOut);
  CHECK(p.sent() == longer.substr(0, kOut - 2) + shorter + longer);
}

TEST_CASE("memory to be sent that is not there") {
  Pair p;
  std::string from(kMissing + 4 * kOut, 'x');
  g_missing = from.data();
  Stream s = p.stream();
  CHECK(s.put(from.data(), 4) == -EFAULT);
  CHECK(s.put(from.data(), from.size()) == -EFAULT);
  CHECK(p.sent().empty());
}

TEST_CASE("what is queued goes with a payload in one call, or in as many as it takes") {
  const std::string payload = pattern(40);
  Pair p;
  Stream s = p.stream();
  CHECK(s.put("head", 4) == 0);
  CHECK(s.flush_with(payload.data(), payload.size()) == 0);
  CHECK(g_made == std::vector<long>{kNr_sendmsg});
  CHECK(p.sent() == "head" + payload);
  CHECK(s.put("head", 4) == 0);
  CHECK(s.flush_with(nullptr, 0) == 0);
  CHECK(p.sent() == "head");

  Pair q(Stream::Manner::kWrite);
  Stream w = q.stream();
  CHECK(w.put("head", 4) == 0);
  CHECK(w.flush_with(payload.data(), payload.size()) == 0);
  CHECK(g_made == std::vector<long>{kNr_write, kNr_write});
  CHECK(q.sent() == "head" + payload);
}

TEST_CASE("a payload that the socket takes in parts") {
  Pair p;
  const std::string payload = pattern(size_t{1} << 20);
  REQUIRE(fcntl(p.state.fd, F_SETFL, O_NONBLOCK) == 0);
  Stream s = p.stream();
  CHECK(s.put("head", 4) == 0);
  pid_t reader = fork();
  REQUIRE(reader >= 0);
  if (reader == 0) {
    std::string all;
    char buffer[65536];
    while (all.size() < payload.size() + 4) {
      const ssize_t n = read(p.peer, buffer, sizeof buffer);
      if (n <= 0) _exit(1);
      all.append(buffer, static_cast<size_t>(n));
    }
    _exit(all == "head" + payload ? 0 : 2);
  }
  CHECK(s.flush_with(payload.data(), payload.size()) == 0);
  int status = -1;
  REQUIRE(waitpid(reader, &status, 0) == reader);
  CHECK(status == 0);
}
