// SPDX-License-Identifier: Apache-2.0
//
// The connections of one member to the deputy at home: its pages and its channels. For a channel the body gets a
// duplicate; the keeper's own is what it shuts down when home is lost.
#pragma once

#include <kj/async-io.h>

#include <map>
#include <vector>

#include "common/net/channel_end.h"
#include "guest/dialer.h"

namespace om::guest {

class HomeLink {
 public:
  HomeLink(Dialer& dialer, uint32_t member) : dialer_(dialer), member_(member) {}

  // The BULK connection, or another one in its place; the one before lasts until then.
  kj::Promise<void> connect_pages();
  kj::AsyncIoStream& pages() { return *pages_; }
  // A channel for a slot: a blocking descriptor for the body, and the keys, which are not kept. A duplicate of the
  // descriptor is.
  kj::Promise<ChannelEnd> channel(uint32_t slot, uint32_t epoch, int attempts);

  // Shuts all channels down: gates notice and ask for new ones.
  void cut_channels();
  // Whether a channel still connects the two halves of a thread.
  bool has_channel() const;
  // Slots whose channel the other end has closed.
  std::vector<uint32_t> broken_channels() const;

 private:
  Dialer& dialer_;
  const uint32_t member_;
  kj::Own<kj::AsyncIoStream> pages_;
  std::map<uint32_t, UniqueFd> channels_;
};

}  // namespace om::guest
