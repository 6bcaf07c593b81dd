// SPDX-License-Identifier: Apache-2.0
#include "migrator/config/options.h"

#include <ctype.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <map>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/own_directory.h"
#include "common/base/text.h"

namespace om::migrator {

const char* const kUsage =
    R"(usage: om-migrator [options]

The daemon of one openMosix node.

  --name NAME           name of this node: a-z, 0-9 and '-' (default: the host name)
  --control PATH        control socket (default: $XDG_RUNTIME_DIR/om/control.sock, root /run/om/control.sock)
  --listen ADDR[:PORT]  address, or a name for it, for peers and keepers (default: 127.0.0.1; port 0 is any free one)
  --peers FILE          peers, one "NAME ADDRESS:PORT" a line; read, and names looked up, again on SIGHUP
  --state DIR           where it notes its deputies and keepers (default: directory of the control socket)
  --config FILE         TOML file with the same names: name, control, listen, peers, state, accept,
                        guest_user, memory_headroom_mib, lazy_shared, insecure, max_guests,
                        max_guests_per_home, max_guests_per_user, root_may_leave
  --accept WORD         always (default) or never take guests
  --max-guests N        take no more guests than that; as the next two, by default according to the number of CPUs
  --max-guests-per-home N
                        of one other node
  --max-guests-per-user N
                        of one user of one other node
  --guest-user NAME     whom guests run as, if the daemon runs as root (default: nobody)
  --ready-fd N          write one JSON line to this descriptor when ready
  --ready-file FILE     the same into a file
  --root-may-leave      processes with root's privileges move, too: whoever administers another node is root here then
  --insecure            listen on other addresses than loopback although nodes do not authenticate each other
  --netns-private NET   the daemon is in the private network namespace of a local cluster, NET its subnet
  --help                this text
  --version             its version

Signals: SIGHUP reads the peers again, SIGTERM and SIGINT end the daemon; processes that are away stay away.
Environment: OM_LOG, OM_LIBEXEC.
)";

std::string node_name_from_host(std::string_view host) {
  std::string name;
  for (char c : host.substr(0, host.find('.'))) {
    auto byte = static_cast<unsigned char>(c);
    name += ::isalnum(byte) != 0 && byte < 0x80 ? static_cast<char>(::tolower(byte)) : '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  while (!name.empty() && name.front() == '-') name.erase(0, 1);
  name = name.substr(0, kMaxNodeName);
  return valid_node_name(name) ? name : "node";
}

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

Result<void> check_listen(const Options& options, bool in_private_namespace) {
  const Address& address = options.listen;
  if (address.is_any()) {
    return plain_error(
        fmt::format("--listen {}: give the address that the other nodes dial", address.host()));
  }
  if (address.is_loopback() || options.insecure) return {};
  if (options.private_subnet && options.private_subnet->contains(address)) {
    if (in_private_namespace) return {};
    return plain_error("--netns-private: this is not a private network namespace");
  }
  return plain_error(fmt::format(
      "--listen {}: nodes do not authenticate each other yet, so only loopback addresses are "
      "allowed without --insecure",
      address.host()));
}

namespace {

Result<uint32_t> limit_from(const std::string& option, const std::string& text) {
  uint32_t limit = 0;
  if (!parse_number(text, limit) || limit > kMostGuests)
    return plain_error(fmt::format("{}: a number from 0 to {}", option, kMostGuests));
  return limit;
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  std::string listen = "127.0.0.1";
  std::string accept;
  std::string subnet;
  std::string ready_fd;
  std::string config;
  std::map<std::string, std::string*, std::less<>> texts{
      {"--name", &options.name},       {"--control", &options.control},
      {"--listen", &listen},           {"--peers", &options.peers_file},
      {"--state", &options.state_dir}, {"--config", &config},
      {"--accept", &accept},           {"--guest-user", &options.guest_user},
      {"--ready-fd", &ready_fd},       {"--ready-file", &options.ready_file},
      {"--netns-private", &subnet}};
  const std::map<std::string, std::optional<uint32_t>*, std::less<>> limits{
      {"--max-guests", &options.max_guests},
      {"--max-guests-per-home", &options.max_guests_per_home},
      {"--max-guests-per-user", &options.max_guests_per_user}};
  std::map<std::string, std::string> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string name = arguments[i].substr(0, arguments[i].find('='));
    bool joined = name.size() < arguments[i].size();
    const std::map<std::string_view, bool*> flags{{"--help", &options.help},
                                                  {"-h", &options.help},
                                                  {"--version", &options.version},
                                                  {"--insecure", &options.insecure},
                                                  {"--root-may-leave", &options.root_may_leave}};
    if (auto flag = flags.find(name); flag != flags.end()) {
      if (joined) return plain_error(name + " takes no value");
      *flag->second = true;
      continue;
    }
    if (texts.count(name) == 0 && limits.count(name) == 0)
      return plain_error("unknown argument " + escaped(arguments[i], 80));
    if (!joined && i + 1 == arguments.size()) return plain_error(name + " needs a value");
    given[name] = joined ? arguments[i].substr(name.size() + 1) : arguments[++i];
  }
  if (options.help || options.version) return options;
  // The file first, so that what is on the command line wins.
  if (given.count("--config") != 0) {
    const bool insecure = options.insecure, root_may_leave = options.root_may_leave;
    std::string text = OM_TRY(read_own_file(given["--config"]));
    OM_TRY(apply_config(options, text, given["--config"]));
    if (!options.listen_text.empty()) listen = options.listen_text;
    options.insecure |= insecure;
    options.root_may_leave |= root_may_leave;
  }
  for (auto& [name, value] : given) {
    if (auto text = texts.find(name); text != texts.end()) *text->second = value;
    if (auto limit = limits.find(name); limit != limits.end())
      *limit->second = OM_TRY(limit_from(name, value));
  }

  if (options.name.empty()) {
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
  options.listen = OM_TRY(Address::look_up(listen));
  if (!accept.empty()) {
    if (accept != "always" && accept != "never") return plain_error("--accept: always or never");
    options.accept = accept == "always";
  }
  if (!subnet.empty()) options.private_subnet = OM_TRY(Subnet::parse(subnet));
  if (!ready_fd.empty() && (!parse_number(ready_fd, options.ready_fd) || options.ready_fd < 0)) {
    return plain_error("--ready-fd: a descriptor number");
  }
  return options;
}

}  // namespace om::migrator
