// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/wire_text.h"

#include <fmt/core.h>

namespace om::migrator {

Result<std::string> read_wire_text(::capnp::Text::Reader text, size_t max_bytes,
                                   const char* field) {
  std::string result(text.begin(), text.size());
  if (result.size() > max_bytes) {
    return plain_error(fmt::format("{} is longer than {} bytes", field, max_bytes));
  }
  if (result.find('\0') != result.npos) return plain_error(fmt::format("{} holds a NUL", field));
  return result;
}

Result<std::vector<std::string>> read_wire_texts(::capnp::List<::capnp::Text>::Reader list,
                                                 size_t max_items, size_t max_bytes,
                                                 const char* field) {
  if (list.size() > max_items)
    return plain_error(fmt::format("{} has more than {} items", field, max_items));
  std::vector<std::string> result;
  for (auto text : list) result.push_back(OM_TRY(read_wire_text(text, max_bytes, field)));
  return result;
}

Result<std::string> read_wire_bytes(::capnp::Data::Reader data, size_t bytes, const char* field) {
  if (data.size() != bytes) {
    return plain_error(fmt::format("{} is not {} bytes long", field, bytes));
  }
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}

std::optional<Reason> read_outcome(wire::Outcome::Reader from) {
  if (from.isOk()) return std::nullopt;
  if (!from.isRefused()) return Reason{ReasonCode::kInternal, "an unknown outcome"};
  auto refused = from.getRefused();
  const std::string code = read_wire_text(refused.getCode(), kMaxCodeBytes, "code").value_or("");
  return Reason::from_peer(
      code, read_wire_text(refused.getDetail(), kMaxDetailBytes, "detail").value_or(""));
}

void write_texts(const std::vector<std::string>& texts,
                 ::capnp::List<::capnp::Text>::Builder list) {
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, texts[i].c_str());
}

}  // namespace om::migrator
