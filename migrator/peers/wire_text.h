// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes text and bytes in Cap'n Proto messages. Every read has a limit: what a peer sends is checked here or
// rejected.
#pragma once

#include <capnp/blob.h>
#include <capnp/list.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/movable/reasons.h"
#include "common/schema/outcome.capnp.h"

namespace om::migrator {

constexpr size_t kMaxCodeBytes = 64;
constexpr size_t kMaxDetailBytes = 4096;

inline kj::ArrayPtr<const kj::byte> wire_data(std::string_view bytes) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size());
}

// Error if it is longer than max_bytes or holds a NUL.
Result<std::string> read_wire_text(::capnp::Text::Reader text, size_t max_bytes, const char* field);
Result<std::vector<std::string>> read_wire_texts(::capnp::List<::capnp::Text>::Reader list,
                                                 size_t max_items, size_t max_bytes,
                                                 const char* field);
// Error if there are not exactly `bytes`.
Result<std::string> read_wire_bytes(::capnp::Data::Reader data, size_t bytes, const char* field);

// nullopt: ok. An unknown outcome, or a refusal without a code, is INTERNAL; too long a detail is left out.
std::optional<Reason> read_outcome(wire::Outcome::Reader from);

void write_texts(const std::vector<std::string>& texts, ::capnp::List<::capnp::Text>::Builder list);

}  // namespace om::migrator
