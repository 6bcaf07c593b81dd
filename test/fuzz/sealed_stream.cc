// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: bytes from a peer through a sealed channel (libom/safe/stream.h). One end sends as the input says; on
// their way bytes are changed, or others are put in; the other end receives in pieces of any size, waits that are
// called off included. Guarantees: it gets what was sent, in order, and nothing of or after a record that was changed;
// as long as nothing was, everything arrives.
//
// Input: a byte for the cipher and the manner of sending, then steps: a byte that says what is done, and its numbers.
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "libom/abi/layout.h"
#include "libom/safe/numbers.h"
#include "libom/safe/stream.h"
#include "test/fuzz/fuzz.h"

namespace {

using namespace om;
using fuzz::require;
using safe::kMostSealed;
using safe::kRecordOverhead;
using safe::Stream;

std::string g_sent;     // what the sender has written and nobody has read
std::string g_to_read;  // what the receiver can read
size_t g_piece;         // most bytes of a system call
uint32_t* g_cancel;     // called off when there is nothing more

long kernel(long nr, long at, long n) {
  auto* p = reinterpret_cast<char*>(at);
  require(n > 0);
  auto count = std::min(static_cast<size_t>(n), g_piece);
  if (nr == kNr_write || nr == kNr_sendto) {
    g_sent.append(p, count);
    return static_cast<long>(count);
  }
  count = std::min(count, g_to_read.size());
  if (count == 0 && g_cancel != nullptr) {
    *g_cancel = 1;
    return -EINTR;
  }
  memcpy(p, g_to_read.data(), count);
  g_to_read.erase(0, count);
  return static_cast<long>(count);
}

long copy(void* to, const void* from, size_t n) {
  memcpy(to, from, n);
  return 0;
}

struct End {
  StreamState state{-1, kStreamPlain, 0, 0};
  std::unique_ptr<safe::Seal> seal = std::make_unique<safe::Seal>();
  std::vector<uint8_t> in = std::vector<uint8_t>(kSlotRecvSize), out;
  Stream::Manner manner;

  End(size_t out_bytes, Stream::Manner how) : out(out_bytes), manner(how) {}
  Stream stream() {
    return {state, *seal, {in.data(), in.size()}, {out.data(), out.size()}, copy, manner};
  }
};

struct World {
  End from, to{kSlotSendSize, Stream::Manner::kWrite};
  std::string contents;     // of all that has been sent
  size_t delivered = 0;     // of these
  size_t limit = SIZE_MAX;  // no more may be delivered: what follows has been changed
  bool lost = false;

  World(uint32_t cipher, bool from_home)
      : from(from_home ? 0x4000 : kSlotSendSize,
             from_home ? Stream::Manner::kSend : Stream::Manner::kWrite) {
    ChannelKeys keys{};
    keys.cipher = cipher;
    keys.send[0] = keys.receive[0] = 1;
    safe::attach(from.state, *from.seal, 3, keys);
    safe::attach(to.state, *to.seal, 4, keys);
  }

  // Sends n bytes and changes the byte at `at` of what that gives, if `mask` is not 0.
  void send(size_t n, size_t at, uint8_t mask) {
    std::string message(n, 0);
    for (char& c : message)
      c = static_cast<char>(contents.size() + n + static_cast<size_t>(&c - message.data()));
    Stream s = from.stream();
    require(s.put(message.data(), n / 2) == 0);
    require(s.flush_with(message.data() + n / 2, n - n / 2) == 0);
    if (mask != 0 && !g_sent.empty()) {
      at %= g_sent.size();
      g_sent[at] = static_cast<char>(g_sent[at] ^ mask);
      // Every record but a flush's last has as many contents as fit into one, or into the buffer.
      const size_t whole = std::min(kMostSealed, from.out.size() - kRecordOverhead);
      limit = std::min(limit, contents.size() + at / (whole + kRecordOverhead) * whole);
    }
    g_to_read += g_sent;
    g_sent.clear();
    contents += message;
  }

  void insert(const uint8_t* bytes, size_t n) {
    if (n > 0) limit = std::min(limit, contents.size());
    g_to_read.append(reinterpret_cast<const char*>(bytes), n);
  }

  void check(const uint8_t* got, size_t n) {
    require(n <= contents.size() - delivered && delivered + n <= limit);
    require(n == 0 || memcmp(got, contents.data() + delivered, n) == 0);
  }

  void fill(size_t want) {
    Stream s = to.stream();
    uint32_t cancel = 0;
    g_cancel = &cancel;
    const long r = s.fill(want % (s.most() + 1), &cancel);
    g_cancel = nullptr;
    require(r == 0 || r == safe::kLost || r == safe::kAborted);
    lost = r == safe::kLost;
    require(!lost || limit != SIZE_MAX);
    require(r != safe::kAborted || limit != SIZE_MAX || contents.size() - delivered < want);
    check(s.data(), s.available());
  }

  void take(size_t n, bool drop) {
    if (limit == SIZE_MAX) n = std::min(n, contents.size() - delivered);
    std::vector<uint8_t> got(n);
    const long r = to.stream().take(drop ? nullptr : got.data(), n);
    require(r == 0 || (r == safe::kLost && limit != SIZE_MAX));
    lost = r != 0;
    if (lost) return;
    require(delivered + n <= limit && delivered + n <= contents.size());
    if (!drop) check(got.data(), n);
    delivered += n;
  }
};

}  // namespace

extern "C" {

long om_syscall(long nr, long, long b, long c, long, long, long) { return kernel(nr, b, c); }

long om_window(volatile uint32_t* cancel, long nr, const uint64_t* args) {
  if (*cancel != 0) return om::safe::kAborted;
  return kernel(nr, static_cast<long>(args[1]), static_cast<long>(args[2]));
}

}  // extern "C"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes input(data, size);
  const auto how = input.take<uint8_t>();
  const uint32_t cipher = (how & 1) != 0 && safe::can_seal(kChannelAes256Gcm)
                              ? kChannelAes256Gcm
                              : kChannelChaCha20Poly1305;
  g_sent.clear();
  g_to_read.clear();
  g_piece = SIZE_MAX;
  g_cancel = nullptr;
  World world(cipher, (how & 2) != 0);
  constexpr size_t kMostInAll = 1 << 20;
  for (int step = 0; input.rest_size() > 0 && !world.lost && step < 200; step++) {
    const auto what = input.take<uint8_t>() % 8;
    const auto number = input.take<uint16_t>();
    const size_t n = what % 2 == 0 ? number % 300 : number;
    switch (what) {
      case 0:
      case 1:
        if (world.contents.size() < kMostInAll) world.send(n, 0, 0);
        break;
      case 2: {
        const auto mask = input.take<uint8_t>();
        world.send(number, input.take<uint16_t>(), mask);
        break;
      }
      case 3: {
        const size_t bytes = std::min<size_t>(n % 64, input.rest_size());
        world.insert(input.rest(), bytes);
        for (size_t i = 0; i < bytes; i++) input.take<uint8_t>();
        break;
      }
      case 4:
      case 5:
        world.fill(n);
        break;
      case 6:
        world.take(number, (number & 1) != 0);
        break;
      default:
        g_piece = size_t{1} + n;
        break;
    }
  }
  return 0;
}
