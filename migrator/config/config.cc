// SPDX-License-Identifier: Apache-2.0
//
// The TOML half of migrator/config/options.h, apart because toml++ is slow to compile and, as packaged, throws.
#include <fmt/core.h>

#include <toml++/toml.h>

#include "common/base/log.h"
#include "migrator/config/options.h"

namespace om::migrator {
namespace {

Error at_line(const std::string& file, const toml::source_region& where, std::string_view what) {
  return plain_error(fmt::format("{}:{}: {}", file, where.begin.line, what));
}

template <class T>
Result<T> typed(const std::string& file, const toml::key& key, const toml::node& node,
                const char* expected) {
  auto value = node.value_exact<T>();
  if (value) return *value;
  return at_line(file, node.source(),
                 fmt::format("{} must be {}", std::string_view(key), expected));
}

Result<std::vector<std::string>> strings(const std::string& file, const toml::key& key,
                                         const toml::node& node) {
  const toml::array* list = node.as_array();
  if (list == nullptr || (!list->empty() && !list->is_homogeneous<std::string>())) {
    return at_line(file, node.source(),
                   fmt::format("{} must be a list of strings", std::string_view(key)));
  }
  std::vector<std::string> values;
  for (const toml::node& item : *list) values.push_back(item.value_or(std::string()));
  return values;
}

std::optional<uint32_t>* limit_named(Options& options, std::string_view name) {
  if (name == "max_guests") return &options.max_guests;
  if (name == "max_guests_per_home") return &options.max_guests_per_home;
  if (name == "max_guests_per_user") return &options.max_guests_per_user;
  return nullptr;
}

}  // namespace

Result<void> apply_config(Options& options, const std::string& text, const std::string& file_name) {
  toml::table parsed;
  try {
    parsed = toml::parse(text, file_name);
  } catch (const toml::parse_error& error) {
    return at_line(file_name, error.source(), error.description());
  }
  for (auto&& [key, node] : parsed) {
    std::string_view name = key;
    if (name == "insecure" || name == "root_may_leave") {
      bool& flag = name == "insecure" ? options.insecure : options.root_may_leave;
      flag = OM_TRY(typed<bool>(file_name, key, node, "true or false"));
      continue;
    }
    if (name == "memory_headroom_mib") {
      int64_t mib = OM_TRY(typed<int64_t>(file_name, key, node, "a number"));
      if (mib < 0 || mib > 1 << 30)
        return at_line(file_name, node.source(), "memory_headroom_mib is out of range");
      options.headroom_bytes = static_cast<uint64_t>(mib) << 20;
      continue;
    }
    if (std::optional<uint32_t>* limit = limit_named(options, name)) {
      int64_t guests = OM_TRY(typed<int64_t>(file_name, key, node, "a number"));
      if (guests < 0 || guests > kMostGuests)
        return at_line(file_name, node.source(), fmt::format("{} is out of range", name));
      *limit = static_cast<uint32_t>(guests);
      continue;
    }
    if (name == "hide_cpu_features") {
      options.hidden_cpu_features = OM_TRY(strings(file_name, key, node));
      continue;
    }
    if (name == "lazy_shared") {
      options.lazy_shared = OM_TRY(strings(file_name, key, node));
      for (const std::string& pattern : *options.lazy_shared) {
        if (!pattern.starts_with('/') || pattern.find(':') != pattern.npos)
          return at_line(file_name, node.source(), "lazy_shared must have paths, without colons");
      }
      continue;
    }
    std::string* target = name == "name"         ? &options.name
                          : name == "control"    ? &options.control
                          : name == "peers"      ? &options.peers_file
                          : name == "state"      ? &options.state_dir
                          : name == "guest_user" ? &options.guest_user
                                                 : nullptr;
    if (target == nullptr && name != "listen" && name != "accept") {
      return at_line(file_name, node.source(), "unknown key " + escaped(name, 60));
    }
    std::string value = OM_TRY(typed<std::string>(file_name, key, node, "a string"));
    if (name == "listen") {
      if (!Address::could_be(value))
        return at_line(file_name, node.source(), "no address or name: " + escaped(value, 80));
      options.listen_text = value;
    } else if (name == "accept") {
      if (value != "always" && value != "never") {
        return at_line(file_name, node.source(), "accept must be \"always\" or \"never\"");
      }
      options.accept = value == "always";
    } else {
      *target = value;
    }
  }
  return {};
}

}  // namespace om::migrator
