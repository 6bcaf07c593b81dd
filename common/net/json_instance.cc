// SPDX-License-Identifier: Apache-2.0
//
// What nlohmann::json consists of, for the files that are compiled with pch/json.h: those do not make it each for
// itself.
#include <nlohmann/json.hpp>

template class nlohmann::basic_json<>;
