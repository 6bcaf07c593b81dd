// SPDX-License-Identifier: Apache-2.0
//
// common/net/json_line.h and common/net/control.h: lines, checked values, answers.
#include "common/net/json_line.h"
#include "common/base/hex.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/net/control.h"

namespace om {
namespace {

Json parse(std::string_view text) { return *parse_json_line(text); }

TEST_CASE("lines come out whole, however the bytes arrive") {
  for (size_t piece : {size_t{1}, size_t{3}, size_t{100}}) {
    LineSplitter splitter(16);
    std::string bytes = "one\n\ntwo\nrest";
    for (size_t i = 0; i < bytes.size(); i += piece)
      REQUIRE(splitter.push(bytes.substr(i, piece)).ok());
    CHECK(splitter.pop() == "one");
    CHECK(splitter.pop() == "");
    CHECK(splitter.pop() == "two");
    CHECK_FALSE(splitter.has_line());
    CHECK(splitter.pending_bytes() == 4);
  }
}

TEST_CASE("a line may be as long as the limit and no longer") {
  LineSplitter splitter(4);
  CHECK(splitter.push("1234\n").ok());
  CHECK(splitter.pop() == "1234");
  CHECK_FALSE(splitter.push("12345").ok());
  LineSplitter later(4);
  CHECK(later.push("12").ok());
  CHECK_FALSE(later.push("345\n").ok());
  LineSplitter after(4);
  // Lines completed before the error are still usable.
  CHECK_FALSE(after.push("ab\n12345").ok());
  CHECK(after.pop() == "ab");
}

TEST_CASE("only objects are accepted") {
  CHECK(parse_json_line(R"({"verb":"ps"})").ok());
  for (const char* text : {"", "[]", "1", "null", "{", "{}x", "\"a\"", "{\"a\":}", "\xff\xfe"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json_line(text).ok());
  }
  CHECK_FALSE(parse_json_line(std::string(50000, '[')).ok());
  CHECK_FALSE(parse_json_line("{\"a\":" + std::string(50000, '[')).ok());
}

TEST_CASE("a line is nested to a limit, whatever is in its strings") {
  constexpr size_t kMaxJsonDepth = 32;
  const auto nested = [](size_t depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  CHECK(parse_json_line(nested(kMaxJsonDepth)).ok());
  CHECK_FALSE(parse_json_line(nested(kMaxJsonDepth + 1)).ok());
  CHECK_FALSE(parse_json_line(nested(1 << 20)).ok());
  CHECK_FALSE(parse_json_line(std::string(1 << 20, '[')).ok());
  std::string objects;
  for (int i = 0; i < 40; ++i) objects += "{\"a\":";
  CHECK_FALSE(parse_json_line(objects + "1" + std::string(40, '}')).ok());
  // Brackets in strings are text, even after an escaped quote.
  CHECK(parse_json_line("{\"a\":\"" + std::string(100, '[') + "\"}").ok());
  CHECK(parse_json_line(R"({"a":"\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["})").ok());
  CHECK_FALSE(parse_json_line(R"({"a":"\\",)"
                              "\"b\":" +
                              std::string(40, '[') + std::string(40, ']') + "}")
                  .ok());
  // Many side by side are not deep.
  std::string wide = "{\"a\":[";
  for (int i = 0; i < 1000; ++i) wide += "[],";
  CHECK(parse_json_line(wide + "[]]}").ok());
}

TEST_CASE("bytes that are not UTF-8 are replaced, not thrown at") {
  std::string line = to_json_line({{"command",
                                    "a\xff"
                                    "b"}});
  CHECK(line ==
        "{\"command\":\"a\xef\xbf\xbd"
        "b\"}\n");
  CHECK(to_json_text({{"a", 1}}) == "{\"a\":1}");
}

TEST_CASE("integers are checked for kind and range") {
  Json object = parse(R"({"a":5,"big":18446744073709551615,"f":1.5,"s":"5","n":null,"neg":-3})");
  CHECK(*json_int(object, "a", 1, 5) == 5);
  CHECK(*json_int(object, "neg", -3, 0) == -3);
  CHECK_FALSE(json_int(object, "a", 6, 9).ok());
  CHECK_FALSE(json_int(object, "a", 1, 4).ok());
  for (const char* key : {"big", "f", "s", "n", "missing"}) {
    CAPTURE(key);
    CHECK_FALSE(json_int(object, key, INT64_MIN, INT64_MAX).ok());
  }
  CHECK(*json_int_or(object, "missing", 0, 9, 7) == 7);
  CHECK_FALSE(json_int_or(object, "s", 0, 9, 7).ok());
  CHECK(json_int(object, "s", 0, 9).error().what == "\"s\" must be an integer from 0 to 9");
  CHECK_FALSE(json_int(parse("{}")["x"], "a", 0, 1).ok());
}

TEST_CASE("strings, booleans, numbers and lists are checked") {
  Json object = parse(R"({"s":"text","b":true,"d":2.5,"l":["a","b"],"m":["a",1]})");
  CHECK(*json_string(object, "s", 4) == "text");
  CHECK_FALSE(json_string(object, "s", 3).ok());
  CHECK_FALSE(json_string(object, "b", 9).ok());
  CHECK(*json_string_or(object, "missing", 9, "x") == "x");
  CHECK(*json_bool(object, "b"));
  CHECK_FALSE(json_bool(object, "s").ok());
  CHECK(*json_bool_or(object, "missing", true));
  CHECK(*json_number(object, "d", 0, 3) == 2.5);
  CHECK_FALSE(json_number(object, "d", 0, 2).ok());
  CHECK_FALSE(json_number(object, "s", 0, 9).ok());
  CHECK(json_strings(object, "l", 2, 1)->size() == 2);
  CHECK_FALSE(json_strings(object, "l", 1, 1).ok());
  CHECK_FALSE(json_strings(object, "m", 9, 9).ok());
  CHECK_FALSE(json_strings(object, "s", 9, 9).ok());
}

TEST_CASE("hexadecimal is exact") {
  std::string bytes("\x00\x7f\xff", 3);
  CHECK(to_hex(bytes) == "007fff");
  CHECK(*from_hex("007fff", 3) == bytes);
  for (const char* text : {"007ff", "007fff0", "007fxf", "007FFF", ""}) {
    CAPTURE(text);
    CHECK_FALSE(from_hex(text, 3).ok());
  }
}

TEST_CASE("answers go there and back") {
  auto good = parse_answer(parse(to_json_text(ok_answer({{"pid", 5}}))));
  REQUIRE(good.ok());
  CHECK(good->ok);
  CHECK(good->data["pid"] == 5);
  Failure failure{ExitCode::kRefused, ReasonCode::kCpuFeature, "no avx512f"};
  auto bad = parse_answer(parse(to_json_text(failure_answer(failure, {{"result", "refused"}}))));
  REQUIRE(bad.ok());
  CHECK_FALSE(bad->ok);
  CHECK(bad->failure.exit == ExitCode::kRefused);
  CHECK(bad->failure.code == "CPU_FEATURE");
  CHECK(bad->failure.is(ReasonCode::kCpuFeature));
  CHECK(has_code(failure_answer(failure), ReasonCode::kCpuFeature));
  CHECK(bad->data["result"] == "refused");
}

TEST_CASE("an answer that is none is an error") {
  for (const char* text :
       {"{}", R"({"ok":1})", R"({"ok":false})", R"({"ok":false,"exit":0,"code":"A","message":"b"})",
        R"({"ok":false,"exit":300,"code":"A","message":"b"})",
        R"({"ok":false,"exit":6,"code":7,"message":"b"})"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_answer(parse(text)).ok());
  }
}

}  // namespace
}  // namespace om
