// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the two messages of a join (migrator/identity/join_messages.h), the request for a certificate in the
// first (read_request() of migrator/identity/cluster_ca.h), and a signer's file of numbers
// (migrator/identity/node_numbers.h). What parses is within its limits, and is the same when it is written and read
// again.
#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/join_messages.h"
#include "migrator/identity/node_numbers.h"
#include "migrator/identity/token.h"

#include "test/fuzz/fuzz.h"

namespace {

using om::fuzz::require;

std::string without_newline(std::string line) {
  require(line.ends_with('\n'));
  line.pop_back();
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace om::migrator;
  const std::string_view text = om::fuzz::text_of(data, size);
  if (auto request = parse_join_request(text)) {
    require(request->token.size() == kTokenIdBytes && request->proof.size() == 32);
    const std::string line = to_line(*request);
    auto again = parse_join_request(without_newline(line));
    require(again.ok() && to_line(*again) == line);
    static_cast<void>(read_request(request->certificate_request));
  }
  if (auto answer = parse_join_answer(text)) {
    require(answer->members.size() <= kMaxKnownMembers);
    require(answer->signers.size() <= kMaxJoinSigners);
    require(answer->ok || answer->failure.exit != om::ExitCode::kOk);
    const std::string line = to_line(*answer);
    auto again = parse_join_answer(without_newline(line));
    require(again.ok() && to_line(*again) == line);
  }
  if (auto subject = read_request(text)) require(subject->name.size() <= size);
  static const auto root = om::OwnDirectory::open("/");
  if (root.ok()) {
    if (auto numbers = parse_numbers(*root, std::string(text)))
      require(numbers->size() <= kMaxNumberedNodes);
  }
  return 0;
}
