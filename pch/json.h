// SPDX-License-Identifier: Apache-2.0
//
// Precompiled for the sources of libraries that speak JSON (cpp_pch in their meson.build). Most of the time to compile
// such a file goes into finding out, for each use of nlohmann::json, which of its templates are meant; what is asked
// here is known everywhere. Without #pragma once, as the compiler is given this file by itself.
//
// Not KJ's headers, too: gcc 12 forgets their pragmas against warnings, one of them about what may not be initialised.
//
// It is no reason to include less: builds without precompiled headers (./dev asan, tsan, cover, fuzz) must pass.
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

// Instantiated in common/net/json_instance.cc.
extern template class nlohmann::basic_json<>;

namespace om::precompiled {

using Json = nlohmann::json;
Json& json();
const Json& fixed();
const std::string& text();

// Declarations only: their results are found out here, their bodies where they are used.
template <class... Results>
struct Asked {};
using Types =
    Asked<decltype(sizeof(std::map<std::string, std::string>)),
          decltype(sizeof(std::map<std::string, Json>)), decltype(sizeof(std::vector<std::string>)),
          decltype(sizeof(std::vector<Json>)), decltype(sizeof(std::optional<std::string>)),
          decltype(sizeof(std::function<void()>))>;
using Made =
    Asked<decltype(Json(text())), decltype(Json("")), decltype(Json(0)), decltype(Json(int64_t{})),
          decltype(Json(uint64_t{})), decltype(Json(true)), decltype(Json::array()),
          decltype(Json::object()), decltype(Json{{"a", 0}, {"b", text()}, {"c", true}}),
          decltype(Json::parse(text(), nullptr, false))>;
using Set = Asked<decltype(json()[""]), decltype(json()[""] = 0), decltype(json()[""] = uint64_t{}),
                  decltype(json()[""] = true), decltype(json()[""] = ""),
                  decltype(json()[""] = text()), decltype(json().push_back(Json()))>;
using Got =
    Asked<decltype(fixed().at("")), decltype(fixed().at(text())), decltype(fixed().find("")),
          decltype(fixed().contains("")), decltype(fixed().get<std::string>()),
          decltype(fixed().get<bool>()), decltype(fixed().get<int64_t>()),
          decltype(fixed().get<uint64_t>()), decltype(fixed().value("", text())),
          decltype(fixed().value("", 0)), decltype(fixed().dump()), decltype(fixed().items()),
          decltype(fixed().begin() == fixed().end()), decltype(fixed() == fixed()),
          decltype(fixed() == "")>;
using Said = Asked<decltype(fmt::format("{}", text())), decltype(fmt::format("{} {}", 0, ""))>;

}  // namespace om::precompiled
