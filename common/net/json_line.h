// SPDX-License-Identifier: Apache-2.0
//
// JSON lines: one object, one '\n'. The format of the control socket and of the keeper's stdin. Here is
// what needs no event loop: cutting a byte stream into lines of a bounded
// length, parsing, and reading checked values out of what a stranger sent. Nothing here throws.
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

// Cuts what arrives into lines. After an Error (a line longer than the limit) the stream is lost.
class LineSplitter {
 public:
  explicit LineSplitter(size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  Result<void> push(std::string_view bytes);
  bool has_line() const { return !lines_.empty(); }
  // The oldest complete line without its '\n'. Preconditions: has_line().
  std::string pop();
  // Bytes of an unfinished line.
  size_t pending_bytes() const { return partial_.size(); }

 private:
  size_t max_line_bytes_;
  std::string partial_;
  std::deque<std::string> lines_;
};

// Only an object is accepted, nested 32 deep at most. All JSON from outside is read by this.
Result<Json> parse_json_line(std::string_view line);

// One line, '\n' included. Bytes that are not UTF-8 become U+FFFD, as in a command line from /proc.
std::string to_json_line(const Json& value);
// The same without '\n'; `pretty`: several lines for a human.
std::string to_json_text(const Json& value, bool pretty = false);

// Values of an object that came from outside. The Error names the key and what it should be; a missing
// key is an Error too, except with the `_or` forms, where it is the given value.
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
