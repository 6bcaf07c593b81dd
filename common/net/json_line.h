// SPDX-License-Identifier: Apache-2.0
//
// JSON lines: one object, one ' '. The format of the control socket and of the keeper's stdin. This is the part that
// needs no event loop: splitting a byte stream into lines of bounded length, parsing, and extracting checked values
// from untrusted input. Nothing here throws.
#pragma once

#include <stdint.h>

#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om {

using Json = nlohmann::json;

constexpr size_t kMaxRequestBytes = 64 << 10;  // one line to a daemon or a keeper
constexpr size_t kMaxAnswerBytes = 16 << 20;   // one line to om

// Splits input into lines. After an Error (a line longer than the limit) the stream is unusable.
class LineSplitter {
 public:
  explicit LineSplitter(size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  Result<void> push(std::string_view bytes);
  bool has_line() const { return !lines_.empty(); }
  // The oldest complete line without its '\n'. Preconditions: has_line().
  std::string pop();
  // Bytes of the unfinished line.
  size_t pending_bytes() const { return partial_.size(); }

 private:
  size_t max_line_bytes_;
  std::string partial_;
  std::deque<std::string> lines_;
};

// Accepts only an object, nested at most 32 deep. All JSON from outside is read by this function.
Result<Json> parse_json_line(std::string_view line);

// One line, '\n' included. Bytes that are not UTF-8 (a command line from /proc may have some) become U+FFFD.
std::string to_json_line(const Json& value);
// The same without ' '; `pretty`: on several lines, for humans.
std::string to_json_text(const Json& value, bool pretty = false);

// Read values of an untrusted object. The Error names the key and what the value should be. A missing key is an Error
// too, except in the `_or` forms, which return `other`.
Result<std::string> json_string(const Json& object, const char* key, size_t max_bytes);
Result<int64_t> json_int(const Json& object, const char* key, int64_t low, int64_t high);
Result<bool> json_bool(const Json& object, const char* key);
Result<double> json_number(const Json& object, const char* key, double low, double high);
Result<std::vector<std::string>> json_strings(const Json& object, const char* key, size_t max_items,
                                              size_t max_bytes);
Result<std::string> json_string_or(const Json& object, const char* key, size_t max_bytes,
                                   std::string other);
Result<int64_t> json_int_or(const Json& object, const char* key, int64_t low, int64_t high,
                            int64_t other);
Result<bool> json_bool_or(const Json& object, const char* key, bool other);

}  // namespace om
