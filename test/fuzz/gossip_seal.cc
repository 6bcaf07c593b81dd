// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: sealed datagrams (migrator/gossip/gossip_seal.h). Nothing that was made without the group key opens;
// a genuine datagram with one byte changed does not either, and nothing opens twice. The first byte: bit 0 whether
// the sender of the genuine one is a member. Then the place (2 bytes) and the mask (1) of the change; the rest is a
// datagram as it is, and the text of the genuine one.
#include "migrator/gossip/gossip_seal.h"

#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace om::members;
  using om::NodeId;
  using om::fuzz::require;
  om::fuzz::Bytes input(data, size);
  const bool member = (input.take<uint8_t>() & 1) != 0;
  const auto at = input.take<uint16_t>();
  const auto mask = input.take<uint8_t>();
  const std::string_view given = input.rest_text();
  const om::MonotonicTime now{std::chrono::hours(1)};
  const GroupKey key{7, "\1\2\3" + std::string(29, '\0')};

  GossipSeal receiver(NodeId{1}, 1, [member](NodeId id) { return member && id == NodeId{2}; });
  GossipSeal sender(NodeId{2}, 1000, [](NodeId) { return true; });
  require(receiver.add_key(key).ok() && sender.add_key(key).ok());
  require(!receiver.open(given, now).ok());
  static_cast<void>(GossipSeal::claimed_key(given));

  const std::string_view text = given.substr(0, kMaxDatagramBytes);
  auto genuine = sender.seal(text);
  require(genuine.ok() && genuine->size() == text.size() + kSealBytes);
  std::string changed = *genuine;
  char& place = changed[at % changed.size()];
  place = static_cast<char>(place ^ mask);
  if (mask != 0) require(!receiver.open(changed, now).ok());
  const auto opened = receiver.open(*genuine, now);
  require(opened.ok() && opened->sender == NodeId{2} && opened->text == text);
  const auto again = receiver.open(*genuine, now);
  require(!again.ok() && again.error() == Refusal::kReplay);
  require(receiver.senders() <= 2);
  return 0;
}
