// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what a member answers that was asked to empty or open itself (migrator/peers/emptied.h). What is
// accepted is within bounds.
//
//   input   the message, packed: 'd' or 'u', and a DrainResults or UndrainResults
#include "migrator/peers/emptied.h"

#include <capnp/serialize-packed.h>
#include <kj/exception.h>

#include "test/fuzz/fuzz.h"

using om::fuzz::require;

namespace {

using namespace om::migrator;

void check_failure(const om::Failure& failure) {
  require(failure.code.empty() || om::is_code(failure.code));
  require(failure.exit != om::ExitCode::kOk);
}

void check(char kind, kj::ArrayPtr<const kj::byte> bytes) {
  kj::ArrayInputStream input(bytes);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 17;
  options.nestingLimit = 16;
  capnp::PackedMessageReader message(input, options);
  if (kind == 'u') {
    const auto opened = read_opened(message.getRoot<om::wire::Member::UndrainResults>());
    if (opened && !*opened) check_failure(opened->error());
    return;
  }
  const auto emptied = read_emptied(message.getRoot<om::wire::Member::DrainResults>());
  if (!emptied) return;
  if (!*emptied) return check_failure(emptied->error());
  require((*emptied)->failed.size() <= kMaxLeftBehind);
  for (const Emptied::Failed& failed : (*emptied)->failed) {
    require(om::is_code(failed.code));
    require(failed.message.find('\0') == failed.message.npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  kj::runCatchingExceptions(
      [&] { check(static_cast<char>(data[0]), kj::arrayPtr(data + 1, size - 1)); });
  return 0;
}
