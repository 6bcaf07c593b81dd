// SPDX-License-Identifier: Apache-2.0
//
// Bytes that nobody expects, on the two ways out of a body: its channels and the keeper's socket.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "libom/abi/sockets.h"
#include "test/hostile/attacks.h"
#include "test/hostile/gate.h"

namespace om::hostile {
namespace {

constexpr int kKeeper = 3;

uint64_t g_seed = 0x9e3779b97f4a7c15ull;
uint64_t random_number() {
  g_seed ^= g_seed << 13;
  g_seed ^= g_seed >> 7;
  return g_seed ^= g_seed << 17;
}

// Home drops a connection on which nonsense comes; the gate then makes another one.
void send(const std::vector<uint8_t>& bytes) {
  still_served();
  say(bytes.data(), bytes.size());
  still_served();
}

// What is no record if the channel is sealed.
void send_as_it_is(const std::vector<uint8_t>& bytes) {
  still_served();
  write_raw(block()->channel.fd, bytes.data(), bytes.size());
  still_served();
}

std::vector<uint8_t> words(std::initializer_list<uint32_t> values, size_t bytes = 0) {
  std::vector<uint8_t> out(values.size() * 4);
  memcpy(out.data(), values.begin(), out.size());
  if (bytes > out.size()) out.resize(bytes);
  return out;
}

}  // namespace

void garbage_on_the_channel() {
  send(words({0xffffffff, 0xffffffff}));         // segments without end
  send(words({15, 0xffffffff}, 68));             // a segment of 32 GiB
  send(words({0, 0}));                           // nothing in it
  send(words({0, (1u << 17)}, (1u << 20) + 8));  // a MiB of zeros
  send(words({0, 1, 0x10001, 0x10001}));         // a message of an unknown kind
  send(words({0, 2, 0xfffffffe, 0xffffffff, 0xffffffff, 0xffffffff}));
  send_as_it_is(words({0xffffffff, 0xffffffff}));
  send_as_it_is(words({0, 1, 0x10001, 0x10001}));
  for (int round = 0; round < 40; round++) {
    std::vector<uint8_t> bytes(8 + 8 * (random_number() % 60));
    for (auto& b : bytes) b = static_cast<uint8_t>(random_number());
    // A frame that is complete: home judges it, instead of waiting for the rest.
    const auto length = static_cast<uint32_t>(bytes.size() / 8 - 1);
    const uint32_t head[2] = {0, length};
    memcpy(bytes.data(), head, sizeof head);
    send(bytes);
  }
  // Half a message, and the end of the connection.
  still_served();
  say("\0\0\0\0\x80\0\0\0\0", 9);
  gate_syscall(SYS_close, static_cast<uint64_t>(block()->channel.fd));
  still_served();
}

void garbage_to_the_keeper() {
  for (size_t bytes : {0, 1, 8, 55, 57, 112, 4096, 60000}) {
    const std::vector<uint8_t> text(bytes, 0xee);
    gate_syscall(SYS_write, kKeeper, address(text.data()), bytes);
  }
  for (uint32_t type = 0; type < 20; type++) {
    for (uint32_t slot : {0u, 1u, body_state().nslots, 0xffffffffu}) {
      if (type == kBodyNeedChannel && slot == 1)
        continue;  // it would be told in memory that is not there
      BodyMessage m{};
      m.type = type;
      m.slot = slot;
      m.a = m.b = m.c = m.d = m.e = m.f = random_number();
      write_raw(kKeeper, &m, sizeof m);
    }
  }
  still_served();
}

void flood_the_keeper() {
  BodyMessage m{};
  for (int i = 0; i < 20000; i++) {
    m.type = i % 3 == 0 ? kBodyNeedChannel : i % 3 == 1 ? kBodyIsParked : kBodyPanic;
    memset(&m.b, 'x', 40);
    write_raw(kKeeper, &m, sizeof m);
  }
  still_served();
}

void exhaust_memory() {
  constexpr size_t kPiece = 8u << 20;
  int pieces = 0;
  for (; pieces < 1 << 14; pieces++) {
    void* p = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) break;
    memset(p, 1, kPiece);
  }
  check(errno == ENOMEM, "the end of memory", errno);
  still_served();
}

}  // namespace om::hostile
