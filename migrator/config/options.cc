// SPDX-License-Identifier: Apache-2.0
#include "migrator/config/options.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/own_directory.h"
#include "common/base/text.h"
#include "migrator/config/keys.h"

namespace om::migrator {

GuestLimits Options::guest_limits(uint32_t cpus) const {
  const GuestLimits usual = default_guest_limits(cpus);
  return {max_guests.value_or(usual.in_all), max_guests_per_home.value_or(usual.of_home),
          max_guests_per_user.value_or(usual.of_user)};
}

bool in_private_network_namespace() {
  struct stat own {};
  if (::stat("/proc/self/ns/net", &own) != 0) return false;
  std::error_code error;
  for (auto& entry : std::filesystem::directory_iterator("/run/netns", error)) {
    struct stat named {};
    bool ours = entry.path().filename().string().compare(0, 3, "om-") == 0;
    if (ours && ::stat(entry.path().c_str(), &named) == 0 && named.st_dev == own.st_dev &&
        named.st_ino == own.st_ino) {
      return true;
    }
  }
  return false;
}

Result<void> check_listen(const Options& options, bool in_private_namespace, bool encrypted) {
  const Address& address = options.listen;
  if (address.is_any()) {
    return plain_error(
        fmt::format("--listen {}: give the address that the other nodes dial", address.host()));
  }
  if (address.is_loopback() || options.insecure || encrypted) return {};
  if (options.private_subnet && options.private_subnet->contains(address)) {
    if (in_private_namespace) return {};
    return plain_error("--netns-private: this is not a private network namespace");
  }
  return plain_error(fmt::format(
      "--listen {}: {}, so nothing is encrypted and only loopback addresses are allowed without "
      "--insecure",
      address.host(),
      options.wire == Wire::kPlain ? "wire is \"plain\"" : "this node is in no cluster"));
}

namespace {

constexpr size_t kMaxPassword = 512;

const Key* find_option(const std::string& option) {
  if (option == "-h") return find_key("help", Source::kOption);
  for (const Key& key : key_table()) {
    if (key.in_options && option == option_of(key)) return &key;
  }
  return nullptr;
}

// In table order; if a key is given twice, the last value counts. Flags have none.
using Given = std::map<const Key*, std::string>;

Result<Given> read_arguments(const std::vector<std::string>& arguments) {
  Given given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string option = arguments[i].substr(0, arguments[i].find('='));
    const bool joined = option.size() < arguments[i].size();
    const Key* key = find_option(option);
    if (key == nullptr) return plain_error("unknown argument " + escaped(arguments[i], 80));
    if (key->form == Form::kFlag) {
      if (joined) return plain_error(option + " takes no value");
      given[key];
      continue;
    }
    if (!joined && i + 1 == arguments.size()) return plain_error(option + " needs a value");
    given[key] = joined ? arguments[i].substr(option.size() + 1) : arguments[++i];
  }
  return given;
}

Result<void> apply_option(Options& options, const Key& key, const std::string& text) {
  Value value = true;
  if (key.form == Form::kText || key.form == Form::kWordOrNumber) value = text;
  if (key.form == Form::kTexts) {
    std::vector<std::string> texts(1);
    for (const char c : text) {
      if (c == ',') {
        texts.emplace_back();
      } else {
        texts.back() += c;
      }
    }
    if (text.empty()) texts.clear();
    value = std::move(texts);
  }
  // -1, which no key accepts, stands for anything that is not a number.
  int64_t number = -1;
  if (key.form == Form::kNumber) value = parse_number(text, number) ? number : int64_t{-1};
  return key.set(options, value, key, Source::kOption);
}

// A file that is ours and that nobody else may read.
Result<std::string> read_secret_file(const std::string& path) {
  const auto [folder, name] = split_path(path);
  return OM_TRY(OwnDirectory::open(folder)).read_private(name);
}

bool is_on_loopback(const std::string& endpoint) {
  const auto address = Address::parse(endpoint.substr(endpoint.find("://") + 3));
  return address && address->is_loopback();
}

Result<void> complete_etcd(Options& options) {
  const bool more = !options.etcd.empty() || !options.etcd_user.empty() ||
                    !options.etcd_password_file.empty() || !options.etcd_ca.empty() ||
                    !options.etcd_cert.empty() || !options.etcd_key.empty();
  if (options.membership != MembershipKind::kEtcd) {
    if (more) return plain_error("etcd and etcd_* are for membership \"etcd\" only");
    return {};
  }
  if (options.etcd.empty()) return plain_error("membership \"etcd\" needs etcd: where it is");
  if (options.wire == Wire::kPlain)
    return plain_error("membership \"etcd\" needs certificates, and wire \"plain\" has none");
  if (options.etcd_user.empty() != options.etcd_password_file.empty())
    return plain_error("etcd_user and etcd_password_file belong together");
  if (options.etcd_cert.empty() != options.etcd_key.empty())
    return plain_error("etcd_cert and etcd_key belong together");
  for (const std::string& endpoint : options.etcd) {
    if (endpoint.starts_with("https://")) continue;
    if (!options.etcd_ca.empty() || !options.etcd_cert.empty())
      return plain_error("etcd_ca and etcd_cert are for https, not for " + endpoint);
    if (!options.etcd_user.empty() && !is_on_loopback(endpoint))
      return plain_error("a password is not sent in plain text: " + endpoint);
  }
  for (const std::string& path : {options.etcd_ca, options.etcd_cert}) {
    if (!path.empty()) OM_TRY(read_own_file(path));
  }
  if (!options.etcd_key.empty()) OM_TRY(read_secret_file(options.etcd_key));
  if (options.etcd_password_file.empty()) return {};
  std::string password = OM_TRY(read_secret_file(options.etcd_password_file));
  if (password.ends_with('\n')) password.pop_back();
  if (password.empty() || password.size() > kMaxPassword || password.find('\n') != password.npos)
    return plain_error(options.etcd_password_file + " has no password, or more than one line");
  options.etcd_password = std::move(password);
  return {};
}

// Fills in defaults, and looks up what needs it.
Result<void> complete(Options& options) {
  options.name_given = !options.name.empty();
  if (!options.name_given) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    options.name = node_name_from_host(host.data());
  }
  if (!valid_node_name(options.name)) {
    return plain_error(fmt::format("--name {}: 1 to {} of a-z, 0-9 and '-', and not \"home\"",
                                   escaped(options.name, 80), kMaxNodeName));
  }
  if (options.control.empty()) options.control = make_default_control_path(::geteuid());
  if (options.state_dir.empty()) {
    size_t slash = options.control.rfind('/');
    options.state_dir = slash == std::string::npos ? "." : options.control.substr(0, slash);
  }
  if (!options.guest_user.empty() && options.guest_uids)
    return plain_error("guest_user and guest_uids exclude each other");
  OM_TRY(complete_etcd(options));
  options.listen = OM_TRY(Address::look_up(options.listen_text));
  return {};
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  const Given given = OM_TRY(read_arguments(arguments));
  for (const char* asked : {"help", "version"}) {
    const Key* key = find_key(asked, Source::kOption);
    if (given.count(key) != 0) OM_TRY(apply_option(options, *key, ""));
  }
  if (options.help || options.version) return options;
  // The file first, so that the command line wins.
  if (auto file = given.find(find_key("config", Source::kOption)); file != given.end())
    OM_TRY(apply_config(options, OM_TRY(read_own_file(file->second)), file->second));
  for (const auto& [key, text] : given) OM_TRY(apply_option(options, *key, text));
  OM_TRY(complete(options));
  return options;
}

}  // namespace om::migrator
