// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the control protocol (common/net/json_line.h). The first byte says how the rest is split into pieces.
// Lines are the same however they arrive; a parsed value prints as a line that parses to the same value; the typed
// look-ups keep their limits.
#include "common/net/json_line.h"
#include "common/base/hex.h"

#include <nlohmann/json.hpp>

#include "test/fuzz/fuzz.h"

namespace {

using om::Json;
using om::fuzz::require;

constexpr size_t kMaxLine = 4096;

void check_object(const Json& object) {
  for (const auto& item : object.items()) {
    const char* key = item.key().c_str();
    if (item.key().find('\0') != std::string::npos) continue;
    if (auto text = om::json_string(object, key, 16)) require(text->size() <= 16);
    if (auto number = om::json_int(object, key, -5, 1000))
      require(*number >= -5 && *number <= 1000);
    if (auto real = om::json_number(object, key, 0, 1e6)) require(*real >= 0 && *real <= 1e6);
    if (auto list = om::json_strings(object, key, 3, 8)) {
      require(list->size() <= 3);
      for (const std::string& text : *list) require(text.size() <= 8);
    }
    static_cast<void>(om::json_bool(object, key));
    if (object[key].is_string()) {
      auto bytes = om::from_hex(object[key].get<std::string>(), 2);
      require(!bytes || bytes->size() == 2);
    }
  }
}

void check_line(const std::string& line) {
  auto value = om::parse_json_line(line);
  if (!value) return;
  require(value->is_object());
  check_object(*value);
  std::string again = om::to_json_line(*value);
  require(!again.empty() && again.back() == '\n');
  require(again.find('\n') == again.size() - 1);
  again.pop_back();
  auto same = om::parse_json_line(again);
  // Numbers may lose digits in text, and escapes may make a line longer than what is accepted.
  if (same) require(same->size() == value->size());
}

// Collects all complete lines; false if the splitter refuses.
bool split(std::string_view bytes, size_t piece, std::vector<std::string>& lines) {
  om::LineSplitter splitter(kMaxLine);
  while (!bytes.empty()) {
    const size_t n = std::min(piece, bytes.size());
    if (!splitter.push(bytes.substr(0, n))) return false;
    require(splitter.pending_bytes() <= kMaxLine);
    while (splitter.has_line()) {
      lines.push_back(splitter.pop());
      require(lines.back().size() <= kMaxLine && lines.back().find('\n') == std::string::npos);
    }
    bytes.remove_prefix(n);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::fuzz::Bytes input(data, size);
  const size_t piece = size_t{1} + input.take<uint8_t>();
  std::vector<std::string> pieces, whole;
  const bool accepted = split(input.rest_text(), piece, pieces);
  if (split(input.rest_text(), std::max<size_t>(1, input.rest_size()), whole) && accepted) {
    require(pieces == whole);
  }
  for (const std::string& line : pieces) check_line(line);
  return 0;
}
