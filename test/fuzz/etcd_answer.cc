// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what etcd's gateway answers (migrator/etcd/messages.h), values of keys (migrator/etcd/records.h), and
// both in a state machine (migrator/etcd/machine.h): the first answer is given to each request until it reads or
// watches, further lines are lines of the watch.
#include <algorithm>
#include <string>

#include "common/base/base64.h"
#include "migrator/etcd/machine.h"
#include "test/fuzz/fuzz.h"

namespace {

using namespace om::etcd;
using om::fuzz::require;

constexpr const char* kPrefix = "/openmosix/00/";

void decode(std::string_view text) {
  if (const auto range = read_range(text)) {
    require(range->all.size() <= kMostKeys);
    for (const KeyValue& kv : range->all)
      require(!kv.key.empty() && kv.key.size() <= kMaxKeyBytes &&
              kv.value.size() <= kMaxValueBytes);
  }
  if (const auto watched = read_watched(text)) require(watched->events.size() <= kMostEvents);
  if (const auto token = read_token(text)) require(token->find('\n') == token->npos);
  if (const auto lease = read_lease(text)) require(lease->ttl_s > 0);
  (void)read_kept_alive(text).ok();
  (void)read_outcome(text).ok();
  require(!read_complaint(500, text).text.empty());
  if (const auto node = parse_node(text)) {
    const auto again = parse_node(to_value(*node));
    require(again.ok() && again->record == node->record && again->left == node->left);
  }
  if (const auto statement = parse_key_statement(text))
    require(parse_key_statement(to_value(*statement)).value() == *statement);
  if (const auto bytes = om::from_base64(text)) require(om::to_base64(*bytes) == text);
  (void)parse_key(kPrefix, text);
}

void run(std::string_view text) {
  Machine::Settings settings;
  settings.prefix = kPrefix;
  settings.self.id = om::NodeId(1);
  settings.self.name = "n1";
  settings.self.addresses = {om::members::v4_address(10, 0, 0, 1)};
  settings.self.port = 4700;
  settings.most_members = 4;
  settings.verify_deny = [](om::NodeId, std::string_view entry) { return entry.size() == 6; };
  Machine machine(std::move(settings));
  std::chrono::nanoseconds time = std::chrono::hours(1);
  const auto now = [&] { return Now{om::MonotonicTime(time), om::WallTime(time)}; };
  machine.use_key(now(), {1, "12345678", "n1"});
  machine.start();
  uint64_t watching = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const Machine::Output output = machine.take_output();
    for (const Machine::Request& request : output.requests) {
      if (request.limit == om::Milliseconds(0)) watching = request.number;
      if (request.limit != om::Milliseconds(0)) machine.answered(now(), request.number, 200, line);
    }
    if (output.requests.empty() && watching != 0) machine.watched(now(), watching, line);
    require(machine.members().all().size() <= 4);
    time += std::chrono::milliseconds(700);
    machine.tick(now());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = om::fuzz::text_of(data, size);
  decode(text);
  run(text);
  return 0;
}
