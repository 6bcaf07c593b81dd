// SPDX-License-Identifier: Apache-2.0
//
// apply_config() of migrator/config/options.h, in a file of its own because toml++ is slow to compile and, as packaged,
// throws.
#include <fmt/core.h>

#include <toml++/toml.h>

#include "common/base/log.h"
#include "migrator/config/keys.h"

namespace om::migrator {
namespace {

Error at_line(const std::string& file, const toml::source_region& where, std::string_view what) {
  return plain_error(fmt::format("{}:{}: {}", file, where.begin.line, what));
}

const char* expected(Form form) {
  switch (form) {
    case Form::kFlag:
      return "true or false";
    case Form::kText:
      return "a string";
    case Form::kNumber:
      return "a number";
    case Form::kWordOrNumber:
      return "a number or a string";
    case Form::kTexts:
      return "a list of strings";
  }
  return "";
}

// nullopt: the node has another type.
std::optional<Value> value_of(const toml::node& node, Form form) {
  auto of_type = [&node]<class T>(T) -> std::optional<Value> {
    const auto value = node.value_exact<T>();
    return value ? std::optional<Value>(*value) : std::nullopt;
  };
  if (form == Form::kFlag) return of_type(bool{});
  if (form == Form::kText) return of_type(std::string{});
  if (form == Form::kNumber) return of_type(int64_t{});
  if (form == Form::kWordOrNumber) {
    if (const auto number = node.value_exact<int64_t>()) return std::to_string(*number);
    return of_type(std::string{});
  }
  const toml::array* list = node.as_array();
  if (list == nullptr || (!list->empty() && !list->is_homogeneous<std::string>()))
    return std::nullopt;
  std::vector<std::string> texts;
  for (const toml::node& item : *list) texts.push_back(item.value_or(std::string()));
  return texts;
}

}  // namespace

Result<void> apply_config(Options& options, const std::string& text, const std::string& file_name) {
  toml::table parsed;
  try {
    parsed = toml::parse(text, file_name);
  } catch (const toml::parse_error& error) {
    return at_line(file_name, error.source(), error.description());
  }
  for (auto&& [toml_key, node] : parsed) {
    const std::string_view name = toml_key;
    const Key* key = find_key(name, Source::kFile);
    if (key == nullptr)
      return at_line(file_name, node.source(), "unknown key " + escaped(name, 60));
    const auto value = value_of(node, key->form);
    if (!value) {
      return at_line(file_name, node.source(),
                     fmt::format("{} must be {}", name, expected(key->form)));
    }
    if (auto set = key->set(options, *value, *key, Source::kFile); !set)
      return at_line(file_name, node.source(), set.error().text());
  }
  return {};
}

}  // namespace om::migrator
