// SPDX-License-Identifier: Apache-2.0
//
// All settings of om-migrator in one table, from which the command line (options.cc), the configuration file
// (config.cc) and --help are derived. A key of the file is the option with '_' for '-'.
#pragma once

#include <stdint.h>

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "migrator/config/options.h"

namespace om::migrator {

enum class Form : uint8_t {
  kFlag,
  kText,
  kNumber,
  kWordOrNumber,  // the value is the text of either
  kTexts
};
using Value = std::variant<bool, std::string, int64_t, std::vector<std::string>>;

enum class Source : uint8_t { kOption, kFile };

struct Key {
  std::string_view name;     // "max_guests"; the option is "--max-guests"
  bool in_options, in_file;  // where it is allowed
  Form form;
  std::string_view argument;  // name of its value in --help; empty: a flag, or not an option
  std::string_view help;      // lines, without indentation
  // `value` has the key's form. The Error says what is wrong; for a value in the file the caller adds its place.
  Result<void> (*set)(Options& options, const Value& value, const Key& key, Source source);
};

// In the order of --help.
std::span<const Key> key_table();
// nullptr if this source has no key of that name.
const Key* find_key(std::string_view name, Source source);

std::string option_of(const Key& key);  // "--max-guests"

// What --help prints.
std::string usage();

}  // namespace om::migrator
