// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/received.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "deputy/home/classify.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/home.h"
#include "libom/abi/memory.h"

namespace om::deputy {
namespace {

constexpr uint64_t kMaxMessages = 1024;  // UIO_MAXIOV

}  // namespace

void Received::add(const Target& target, uint64_t address, uint64_t bytes) {
  bytes = std::min(bytes, kMaxAnswer);
  if (address == 0 || bytes == 0) return;
  Piece piece{address, std::vector<std::byte>(bytes)};
  if (target.memory.read(address, piece.bytes)) pieces_.push_back(std::move(piece));
}

// Adds the header, with what the kernel has written to it, and `bytes` of its parts.
void Received::add_message(const Target& target, uint64_t header, uint64_t bytes) {
  const auto h = target.memory.get<msghdr>(header);
  if (!h) return;
  add(target, header, sizeof *h);
  add(target, reinterpret_cast<uint64_t>(h->msg_name), h->msg_namelen);
  add(target, reinterpret_cast<uint64_t>(h->msg_control), h->msg_controllen);
  const auto vector = reinterpret_cast<uint64_t>(h->msg_iov);
  for (const Range& part : parts_of_vector(target, vector, h->msg_iovlen, bytes))
    add(target, part.lo, part.hi - part.lo);
}

void Received::take(const Target& target, const HomeThread& h) {
  const HomeExec& e = h.call;
  if (e.transplanted == 0 || h.phase != kExecCall || e.done == 0) return;
  const uint64_t* args = e.program_args;
  const WaitDesc& w = wait_desc(e.nr);
  if (w.socket != SocketSide::kReceives) return;
  if (w.rest == Shape::kBuffer) add(target, args[1], std::min(e.done, args[2]));
  if (w.rest == Shape::kMessage) add_message(target, args[1], e.done);
  if (w.rest != Shape::kMessages) return;
  // Whole messages, and one more that may be there in part.
  const uint64_t messages = std::min({e.done + 1, args[2], kMaxMessages});
  for (uint64_t i = 0; i < messages; i++) {
    const uint64_t header = args[1] + i * sizeof(mmsghdr), length = header + sizeof(msghdr);
    add_message(target, header, target.memory.get<uint32_t>(length).value_or(0));
    add(target, length, sizeof(uint32_t));
  }
}

void Received::put(const Target& target) const {
  for (const Piece& piece : pieces_) (void)target.memory.write(piece.address, piece.bytes);
}

}  // namespace om::deputy
