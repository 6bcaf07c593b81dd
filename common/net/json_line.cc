// SPDX-License-Identifier: Apache-2.0
#include "common/net/json_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/assert.h"
#include "common/base/log.h"

namespace om {
namespace {

constexpr size_t kMaxJsonDepth = 32;  // of arrays and objects in a line

Error bad_value(const char* key, std::string_view expected) {
  return plain_error(fmt::format("\"{}\" must be {}", key, expected));
}

const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

// How deep arrays and objects are nested, if `text` is JSON; the parser rejects anything else.
size_t json_depth(std::string_view text) {
  size_t depth = 0;
  size_t deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<void> LineSplitter::push(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > max_line_bytes_) {
      return plain_error(fmt::format("a line is longer than {} bytes", max_line_bytes_));
    }
    partial_ += piece;
    if (end == bytes.npos) break;
    lines_.push_back(std::exchange(partial_, {}));
    bytes.remove_prefix(end + 1);
  }
  return {};
}

std::string LineSplitter::pop() {
  OM_ASSERT(has_line());
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

Result<Json> parse_json_line(std::string_view line) {
  // Values are copied and printed recursively, and in a line of a megabyte the nesting could be that deep.
  if (json_depth(line) > kMaxJsonDepth)
    return plain_error(fmt::format("nested deeper than {}: {}", kMaxJsonDepth, escaped(line, 60)));
  Json value = Json::parse(line, nullptr, false);
  if (value.is_discarded()) return plain_error("not JSON: " + escaped(line, 60));
  if (!value.is_object()) return plain_error("not a JSON object: " + escaped(line, 60));
  return value;
}

std::string to_json_text(const Json& value, bool pretty) {
  return value.dump(pretty ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

std::string to_json_line(const Json& value) { return to_json_text(value) + '\n'; }

Result<std::string> json_string(const Json& object, const char* key, size_t max_bytes) {
  const Json* value = find(object, key);
  if (value == nullptr || !value->is_string()) return bad_value(key, "a string");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > max_bytes)
    return bad_value(key, fmt::format("at most {} bytes long", max_bytes));
  return text;
}

Result<int64_t> json_int(const Json& object, const char* key, int64_t low, int64_t high) {
  const Json* value = find(object, key);
  std::string expected = fmt::format("an integer from {} to {}", low, high);
  if (value == nullptr || !value->is_number_integer()) return bad_value(key, expected);
  // An unsigned number above the signed range would come out negative.
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX}) {
    return bad_value(key, expected);
  }
  auto number = value->get<int64_t>();
  if (number < low || number > high) return bad_value(key, expected);
  return number;
}

Result<bool> json_bool(const Json& object, const char* key) {
  const Json* value = find(object, key);
  if (value == nullptr || !value->is_boolean()) return bad_value(key, "true or false");
  return value->get<bool>();
}

Result<double> json_number(const Json& object, const char* key, double low, double high) {
  const Json* value = find(object, key);
  std::string expected = fmt::format("a number from {} to {}", low, high);
  if (value == nullptr || !value->is_number()) return bad_value(key, expected);
  auto number = value->get<double>();
  if (!(number >= low && number <= high)) return bad_value(key, expected);
  return number;
}

Result<std::vector<std::string>> json_strings(const Json& object, const char* key, size_t max_items,
                                              size_t max_bytes) {
  const Json* value = find(object, key);
  std::string expected = fmt::format("a list of at most {} strings", max_items);
  if (value == nullptr || !value->is_array() || value->size() > max_items) {
    return bad_value(key, expected);
  }
  std::vector<std::string> result;
  for (const Json& item : *value) {
    if (!item.is_string()) return bad_value(key, expected);
    const auto& text = item.get_ref<const std::string&>();
    if (text.size() > max_bytes) return bad_value(key, expected);
    result.push_back(text);
  }
  return result;
}

Result<std::string> json_string_or(const Json& object, const char* key, size_t max_bytes,
                                   std::string other) {
  if (find(object, key) == nullptr) return other;
  return json_string(object, key, max_bytes);
}

Result<int64_t> json_int_or(const Json& object, const char* key, int64_t low, int64_t high,
                            int64_t other) {
  if (find(object, key) == nullptr) return other;
  return json_int(object, key, low, high);
}

Result<bool> json_bool_or(const Json& object, const char* key, bool other) {
  if (find(object, key) == nullptr) return other;
  return json_bool(object, key);
}

}  // namespace om
