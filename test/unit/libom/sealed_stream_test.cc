// SPDX-License-Identifier: Apache-2.0
//
// safe/stream.h with keys: two ends of a channel, and what is done to the records on their way. The system calls are
// the test's own: bytes go to a string and come from one, in the pieces that it wants.
#include <doctest/doctest.h>
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "libom/abi/layout.h"
#include "libom/safe/numbers.h"
#include "libom/safe/stream.h"

namespace {

using namespace om;
using safe::kMostSealed;
using safe::kRecordHeader;
using safe::kRecordOverhead;
using safe::Stream;

// The connection of whichever end is at work.
struct Wire {
  std::string to_read, written;
  size_t piece = SIZE_MAX;  // most bytes that a read or write transfers
  long fail_after = -1;     // how many more calls are made before one fails; -1 all
  int calls = 0;
};
Wire* g_wire;
uint32_t* g_cancel;          // is set by a read when there is nothing more
const char* g_missing;       // memory of the program that is not there, one byte
const char* g_program_from;  // no system call may touch [from, to): memory of the program
const char* g_program_to;

long kernel(long nr, long at, long n) {
  Wire& w = *g_wire;
  auto* p = reinterpret_cast<char*>(at);
  REQUIRE_FALSE((g_program_from != nullptr && p < g_program_to && p + n > g_program_from));
  w.calls++;
  if (w.fail_after == 0) return -EPIPE;
  if (w.fail_after > 0) w.fail_after--;
  auto count = std::min(static_cast<size_t>(n), w.piece);
  if (nr == kNr_write || nr == kNr_sendto) {
    w.written.append(p, count);
    return static_cast<long>(count);
  }
  count = std::min(count, w.to_read.size());
  if (count == 0 && g_cancel != nullptr) {
    *g_cancel = 1;
    return -EINTR;
  }
  memcpy(p, w.to_read.data(), count);
  w.to_read.erase(0, count);
  return static_cast<long>(count);
}

long copy(void* to, const void* from, size_t n) {
  const auto hits = [n](const void* p) {
    const auto* at = static_cast<const char*>(p);
    return g_missing >= at && g_missing < at + n;
  };
  if (g_missing != nullptr && (hits(to) || hits(from))) return -EFAULT;
  memcpy(to, from, n);
  return 0;
}

std::string pattern(size_t n, size_t first = 0) {
  std::string s(n, 0);
  for (size_t i = 0; i < n; i++) s[i] = static_cast<char>((first + i) * 31 + (first + i) / 251);
  return s;
}

struct End {
  StreamState state{-1, kStreamPlain, 0, 0};
  std::unique_ptr<safe::Seal> seal = std::make_unique<safe::Seal>();
  std::vector<uint8_t> in, out;
  Wire wire;
  Stream::Manner manner;

  explicit End(Stream::Manner how, size_t out_bytes)
      : in(kSlotRecvSize), out(out_bytes), manner(how) {}

  Stream stream() {
    g_wire = &wire;
    return {state, *seal, {in.data(), in.size()}, {out.data(), out.size()}, copy, manner};
  }
  std::string here() {
    const Stream s = stream();
    return {reinterpret_cast<const char*>(s.data()), s.available()};
  }
  void put(const std::string& bytes) {
    Stream s = stream();
    REQUIRE(s.put(bytes.data(), bytes.size()) == 0);
    REQUIRE(s.flush() == 0);
  }
  std::string take(size_t n) {
    std::string to(n, '.');
    REQUIRE(stream().take(to.data(), n) == 0);
    return to;
  }
};

ChannelKeys keys_of(uint32_t cipher, bool turned, uint8_t first = 1) {
  ChannelKeys keys{};
  keys.cipher = cipher;
  for (size_t i = 0; i < 32; i++) {
    (turned ? keys.receive : keys.send)[i] = static_cast<uint8_t>(first + i);
    (turned ? keys.send : keys.receive)[i] = static_cast<uint8_t>(first + 100 + i);
  }
  return keys;
}

// A body's end and an executor's.
struct Channel {
  End gate{Stream::Manner::kWrite, kSlotSendSize}, home{Stream::Manner::kSend, 0x4000};

  explicit Channel(uint32_t cipher) {
    g_cancel = nullptr;
    g_missing = g_program_from = g_program_to = nullptr;
    attach_both(cipher);
  }
  void attach_both(uint32_t cipher, uint8_t first = 1) {
    safe::attach(gate.state, *gate.seal, 5, keys_of(cipher, false, first));
    safe::attach(home.state, *home.seal, 6, keys_of(cipher, true, first));
  }
  // What one end has written is what the other reads.
  void carry() {
    home.wire.to_read += gate.wire.written;
    gate.wire.to_read += home.wire.written;
    gate.wire.written.clear();
    home.wire.written.clear();
  }
  // The records of these messages, each of one flush.
  std::vector<std::string> records(const std::vector<std::string>& messages) {
    std::vector<std::string> all;
    for (const std::string& m : messages) {
      gate.put(m);
      all.push_back(std::move(gate.wire.written));
      gate.wire.written.clear();
    }
    return all;
  }
  // What home can take of these bytes before the connection is lost.
  std::string delivered(const std::string& bytes) {
    home.wire.to_read = bytes;
    std::string got;
    for (;;) {
      char byte;
      const long r = home.stream().take(&byte, 1);
      if (r != 0) {
        CHECK(r == safe::kLost);
        CHECK(home.stream().take(&byte, 1) == safe::kLost);  // for good
        return got;
      }
      got.push_back(byte);
    }
  }
};

std::vector<uint32_t> ciphers() {
  std::vector<uint32_t> all;
  for (const uint32_t cipher : {uint32_t{kChannelAes256Gcm}, uint32_t{kChannelChaCha20Poly1305}}) {
    if (safe::can_seal(cipher)) all.push_back(cipher);
  }
  return all;
}

bool holds(const safe::Seal& seal, uint8_t first) {
  const auto* at = reinterpret_cast<const uint8_t*>(&seal);
  uint8_t key[8];
  for (size_t i = 0; i < sizeof key; i++) key[i] = static_cast<uint8_t>(first + i);
  return std::search(at, at + sizeof seal, key, key + sizeof key) != at + sizeof seal;
}

}  // namespace

extern "C" {

long om_syscall(long nr, long, long b, long c, long, long, long) { return kernel(nr, b, c); }

long om_window(volatile uint32_t* cancel, long nr, const uint64_t* args) {
  if (*cancel != 0) return om::safe::kAborted;
  return kernel(nr, static_cast<long>(args[1]), static_cast<long>(args[2]));
}

}  // extern "C"

TEST_CASE("a flush is one record, in one call, and arrives") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    Stream s = c.gate.stream();
    memcpy(s.room(), "head", 4);
    s.queue(4);
    CHECK(s.put("tail", 4) == 0);
    CHECK(s.queued() == 8);
    CHECK(c.gate.wire.calls == 0);
    CHECK(s.flush() == 0);
    CHECK(s.flush() == 0);  // nothing: no record
    CHECK(c.gate.wire.calls == 1);
    CHECK(c.gate.wire.written.size() == 8 + kRecordOverhead);
    CHECK(c.gate.wire.written.find("head") == std::string::npos);
    c.carry();
    CHECK(c.home.stream().fill(3) == 0);
    CHECK(c.home.here() == "headtail");
    Stream back = c.home.stream();
    CHECK(back.put("an", 2) == 0);
    CHECK(back.flush_with("swer", 4) == 0);
    CHECK(c.home.wire.written.size() == 6 + kRecordOverhead);
    c.carry();
    CHECK(c.gate.take(6) == "answer");
  }
}

TEST_CASE("long runs go through the buffers in both directions, whatever the pieces") {
  const std::string call = pattern(300000), answer = pattern(200000, 7);
  for (const uint32_t cipher : ciphers()) {
    for (const size_t piece : {size_t{1500}, size_t{4096}, SIZE_MAX}) {
      Channel c(cipher);
      c.gate.wire.piece = c.home.wire.piece = piece;
      g_program_from = call.data();
      g_program_to = call.data() + call.size();
      c.gate.put(call);
      c.carry();
      std::string to(call.size(), '.');
      g_program_from = to.data();
      g_program_to = to.data() + to.size();
      CHECK(c.home.stream().take(to.data(), to.size()) == 0);
      CHECK(to == call);
      g_program_from = answer.data();
      g_program_to = answer.data() + answer.size();
      Stream s = c.home.stream();
      CHECK(s.put("head", 4) == 0);
      CHECK(s.flush_with(answer.data(), answer.size()) == 0);
      c.carry();
      g_program_from = nullptr;
      CHECK(c.gate.take(4) == "head");
      CHECK(c.gate.stream().take(nullptr, 1000) == 0);
      CHECK(c.gate.take(answer.size() - 1000) == answer.substr(1000));
      CHECK(c.gate.stream().available() == 0);
    }
  }
}

TEST_CASE("as much as most() can be looked at as a whole, wherever it begins in the buffer") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    const size_t most = c.home.stream().most();
    CHECK(most == c.gate.stream().room_left());
    CHECK(most >= 3 * kMostSealed - kRecordOverhead);
    size_t sent = 0, taken = 0;
    for (int turn = 0; turn < 40; turn++) {
      // Short records before it, of which a part stays behind.
      for (const size_t n : {size_t{100}, size_t{17}, most}) {
        c.gate.put(pattern(n, sent));
        sent += n;
      }
      c.home.wire.piece = 1000 + 977 * static_cast<size_t>(turn);
      c.carry();
      const size_t left = static_cast<size_t>(turn) % 117;
      REQUIRE(c.home.take(117 - left) == pattern(117 - left, taken));
      taken += 117 - left;
      REQUIRE(c.home.stream().fill(most) == 0);
      REQUIRE(c.home.here().substr(0, most) == pattern(most, taken));
      REQUIRE(c.home.stream().fill(left + 1) == 0);
      REQUIRE(c.home.take(sent - taken) == pattern(sent - taken, taken));
      taken = sent;
    }
    c.home.wire.to_read.clear();
  }
}

TEST_CASE("a record arrives in pieces, and a wait that is called off loses nothing") {
  const std::string message = pattern(50);
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    c.gate.put(message);
    const std::string record = c.gate.wire.written;
    uint32_t cancel = 0;
    g_cancel = &cancel;
    for (size_t i = 0; i < record.size(); i++) {
      cancel = 0;
      CHECK(c.home.stream().fill(1, &cancel) == safe::kAborted);
      CHECK(c.home.here().empty());
      c.home.wire.to_read = record.substr(i, 1);
    }
    cancel = 0;
    CHECK(c.home.stream().fill(50, &cancel) == 0);
    CHECK(c.home.here() == message);
    CHECK(c.home.stream().fill(51, &cancel) == safe::kAborted);
    CHECK(c.home.here() == message);
    cancel = 1;
    CHECK(c.home.stream().fill(51, &cancel) == safe::kAborted);
    CHECK(c.home.here() == message);
  }
}

TEST_CASE("any changed bit ends the connection, what came before it has been delivered") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    const auto records = c.records({"before", "the one"});
    const std::string all = records[0] + records[1];
    for (size_t bit = 8 * records[0].size(); bit < 8 * all.size(); bit++) {
      std::string changed = all;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
      c.attach_both(cipher);
      REQUIRE(c.delivered(changed) == "before");
    }
    c.attach_both(cipher);
    CHECK(c.delivered(all) == "beforethe one");
  }
}

TEST_CASE("records that are cut, repeated, left out, in another order, or of another connection") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    const auto r = c.records({"one,", "two,", "three"});
    const auto sent = [&](const std::string& bytes) {
      c.attach_both(cipher);
      return c.delivered(bytes);
    };
    for (size_t n = 0; n < r[1].size(); n++) REQUIRE(sent(r[0] + r[1].substr(0, n)) == "one,");
    CHECK(sent(r[0] + r[0] + r[1]) == "one,");
    CHECK(sent(r[0] + r[2]) == "one,");
    CHECK(sent(r[1] + r[0]).empty());
    CHECK(sent(r[0] + r[1] + r[2] + r[1]) == "one,two,three");
    CHECK(sent(r[0] + std::string(1000, 0)) == "one,");  // a record without contents, and on
    CHECK(sent(r[0] + std::string(1000, '\xff')) == "one,");
    CHECK(sent("GET / HTTP/1.1\r\n\r\n").empty());
    // The same slot's next connection has other keys.
    c.attach_both(cipher, 50);
    CHECK(c.delivered(r[0]).empty());
    // And the other direction.
    c.attach_both(cipher);
    c.gate.wire.to_read = r[0];
    char byte;
    CHECK(c.gate.stream().take(&byte, 1) == safe::kLost);
  }
}

TEST_CASE(
    "a length that no libom sends ends the connection at once, without waiting for that much") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    for (const uint32_t length :
         {0u, static_cast<uint32_t>(kMostSealed) + 1, 65536u, 65537u, 0x80000000u, ~0u}) {
      c.attach_both(cipher);
      c.home.wire = {};
      c.home.wire.to_read.assign(reinterpret_cast<const char*>(&length), sizeof length);
      CHECK(c.home.stream().fill(1) == safe::kLost);
      CHECK(c.home.wire.calls == 1);
    }
  }
}

TEST_CASE("the other end closes, or the connection breaks while sending") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    CHECK(c.home.stream().fill(1) == safe::kLost);
    c.gate.wire.fail_after = 0;
    Stream s = c.gate.stream();
    CHECK(s.put("abc", 3) == 0);
    CHECK(s.flush() == safe::kLost);
    c.attach_both(cipher);
    c.gate.wire.fail_after = 2;
    const std::string many = pattern(100000);
    CHECK(c.gate.stream().flush_with(many.data(), many.size()) == safe::kLost);
  }
}

TEST_CASE("memory of the program that is not there") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    const std::string bytes = pattern(3000);
    c.gate.put(bytes + "end");
    c.carry();
    std::string to(bytes.size(), '.');
    g_missing = to.data() + 10;
    CHECK(c.home.stream().take(to.data(), to.size()) == -EFAULT);
    CHECK(c.home.take(3) == "end");
    // Nothing is sent of a run whose memory is not there.
    g_missing = bytes.data() + 2000;
    Stream s = c.gate.stream();
    CHECK(s.put(bytes.data(), bytes.size()) == -EFAULT);
    CHECK(c.gate.wire.written.empty());
  }
}

TEST_CASE("keys are wiped when they are expanded, and when their connection ends") {
  for (const uint32_t cipher : ciphers()) {
    Channel c(cipher);
    CHECK(holds(*c.gate.seal, 1));
    c.gate.put("x");
    CHECK(c.gate.seal->offered.send[0] == 0);
    CHECK(c.gate.seal->sent == 1);
    c.gate.wire.written.clear();
    c.attach_both(cipher, 50);
    CHECK(c.gate.seal->sent == 0);
    CHECK_FALSE(holds(*c.gate.seal, 1));
    c.gate.put("x");
    c.carry();
    CHECK(c.home.take(1) == "x");
    for (End* end : {&c.gate, &c.home}) {
      safe::detach(end->state, *end->seal);
      CHECK(end->state.fd == -1);
      const auto* at = reinterpret_cast<const uint8_t*>(end->seal.get());
      CHECK(std::all_of(at, at + sizeof *end->seal, [](uint8_t byte) { return byte == 0; }));
    }
    // A plain connection in the same slot.
    safe::attach(c.gate.state, *c.gate.seal, 5, ChannelKeys{});
    c.gate.put("plain");
    CHECK(c.gate.wire.written == "plain");
  }
}

TEST_CASE("keys that cannot be used lose the connection") {
  Channel c(kChannelPlain);
  c.attach_both(7);
  Stream s = c.gate.stream();
  CHECK(s.put("abc", 3) == 0);
  CHECK(s.flush() == safe::kLost);
  CHECK(c.gate.wire.written.empty());
  CHECK(c.home.stream().fill(1) == safe::kLost);
}
