// SPDX-License-Identifier: Apache-2.0
//
// Connections to the deputy at home: every one is made here, begins with a preamble, and for a channel the
// body gets a duplicate. The keeper's own duplicate of each channel is what it shuts down when home is lost.
#pragma once

#include <kj/async-io.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/address.h"
#include "common/net/preamble.h"

namespace om::guest {

class HomeLink {
 public:
  HomeLink(kj::AsyncIoContext& io, const Address& home, const uint8_t (&session)[16],
           const uint8_t (&token)[16]);

  // KJ exception when home is out of reach. An attempt has a second: the kernel would wait longer and longer before it
  // tries again, while the network has come back. For those who do not try again themselves there are kAttempts.
  static constexpr int kAttempts = 10;
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect(PreambleKind kind, int attempts,
                                                  uint32_t slot = 0, uint32_t epoch = 0);
  // The BULK connection, or another one in its place; the one before lasts until then.
  kj::Promise<void> connect_pages();
  kj::AsyncIoStream& pages() { return *pages_; }
  // A channel for a slot: a blocking descriptor for the body. A duplicate is kept.
  kj::Promise<UniqueFd> channel(uint32_t slot, uint32_t epoch, int attempts);

  // Shuts all channels down: gates notice and ask for new ones.
  void cut_channels();
  // Whether a channel still connects the two halves of a thread.
  bool has_channel() const;
  // Slots whose channel the other end has closed.
  std::vector<uint32_t> broken_channels() const;

 private:
  kj::Promise<kj::Own<kj::AsyncIoStream>> attempt(const Preamble& preamble);
  kj::Promise<kj::Own<kj::AsyncIoStream>> attempt(const Preamble& preamble, int left);

  kj::AsyncIoContext& io_;
  Address home_;
  Pass pass_;
  kj::Own<kj::AsyncIoStream> pages_;
  std::map<uint32_t, UniqueFd> channels_;
};

}  // namespace om::guest
