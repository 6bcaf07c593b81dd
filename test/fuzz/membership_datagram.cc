// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: datagrams of members (migrator/members/datagram.h). What is accepted encodes to the same bytes; the
// state machine takes a row of them, each with a byte for the sender and two for the length, and stays within its
// bounds.
#include "migrator/members/membership.h"

#include <algorithm>

#include "test/fuzz/fuzz.h"

namespace {

using namespace om::members;
using om::NodeId;
using om::fuzz::require;

void check_codec(std::string_view bytes) {
  auto datagram = decode_datagram(bytes);
  if (!datagram) return;
  std::string again = encode_header(*datagram);
  for (const Rumour& rumour : datagram->rumours) {
    append_rumour(again, rumour);
    require(rumour.record.has_value() == (rumour.kind == kJoined));
    if (!rumour.record) continue;
    require(check_record(*rumour.record).ok() && rumour.record->id == rumour.node);
    const Rumour same = joined(*rumour.record, rumour.incarnation);
    require(same.body.size() <= rumour.body.size());
  }
  require(again == bytes);
}

void check_output(const Membership& machine, const Output& output) {
  for (const Send& send : output.sends) require(decode_datagram(send.bytes).ok());
  for (const Dial& dial : output.dials) require(machine.find(dial.node) != nullptr);
  const Footprint kept = machine.footprint();
  require(kept.members <= 8 && kept.suspicions <= kept.members);
  require(kept.rumours <= kMaxRumours + kMaxUnknownRumours && kept.relays <= kMaxRelays);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_codec(om::fuzz::text_of(data, size));

  NodeRecord self;
  self.id = NodeId{1};
  self.name = "n1";
  self.addresses = {v4_address(127, 0, 0, 1)};
  self.port = 1;
  Settings settings;
  settings.most_members = 8;
  settings.verify_deny = [](NodeId, std::string_view entry) { return entry.size() % 2 == 0; };
  om::MonotonicTime now{std::chrono::hours(1)};
  uint64_t seed = size;
  RecordPool pool;
  Membership machine(
      settings, pool, [&] { return seed = seed * 6364136223846793005 + 1; }, self, 1, now);
  om::fuzz::Bytes input(data, size);
  while (input.rest_size() > 0) {
    const auto from = input.take<uint8_t>();
    const size_t wanted = input.take<uint16_t>() % 2048;
    const size_t length = std::min(wanted, input.rest_size());
    const std::string_view bytes = input.rest_text().substr(0, length);
    static_cast<void>(machine.receive(now, NodeId{from}, bytes));
    input = {input.rest() + length, input.rest_size() - length};
    now += om::Milliseconds(100 * from);
    machine.tick(now);
    const Output output = machine.take_output();
    check_output(machine, output);
    for (const Dial& dial : output.dials) {
      if (from % 2 == 0)
        machine.dialled(now, dial.node,
                        from % 4 == 0 ? std::optional<uint64_t>(from) : std::nullopt);
    }
    machine.take_output();
  }
  for (const Rumour& rumour : machine.snapshot()) require(rumour.body.size() <= kMaxRumourBody);
  require(pool.size() == machine.footprint().members);
  return 0;
}
