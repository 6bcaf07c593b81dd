// SPDX-License-Identifier: Apache-2.0
#include "migrator/config/keys.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "common/base/log.h"
#include "common/base/text.h"
#include "migrator/load/speed.h"

namespace om::migrator {
namespace {

// Stores the value unchanged in a member of Options.
template <auto kMember>
Result<void> text(Options& options, const Value& value, const Key&, Source) {
  options.*kMember = std::get<std::string>(value);
  return {};
}

template <auto kMember>
Result<void> flag(Options& options, const Value& value, const Key&, Source) {
  options.*kMember = std::get<bool>(value);
  return {};
}

// The number, if it is from 0 to `most`.
Result<int64_t> number_up_to(int64_t most, const Value& value, const Key& key, Source source) {
  const int64_t number = std::get<int64_t>(value);
  if (number >= 0 && number <= most) return number;
  return plain_error(source == Source::kFile
                         ? fmt::format("{} is out of range", key.name)
                         : fmt::format("{}: a number from 0 to {}", option_of(key), most));
}

// "a, b or c"
std::string alternatives(std::span<const std::string_view> words, std::string_view quote) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text.append(quote).append(words[i]).append(quote);
  }
  return text;
}

// Which of the words it is; nullopt for an option without one, which changes nothing.
template <size_t N>
Result<std::optional<size_t>> word_of(const std::string_view (&words)[N], const Value& value,
                                      const Key& key, Source source) {
  const std::string& word = std::get<std::string>(value);
  if (source == Source::kOption && word.empty()) return std::optional<size_t>();
  const auto found = std::find(std::begin(words), std::end(words), word);
  if (found != std::end(words))
    return std::optional<size_t>(static_cast<size_t>(found - std::begin(words)));
  return plain_error(source == Source::kFile
                         ? fmt::format("{} must be {}", key.name, alternatives(words, "\""))
                         : fmt::format("{}: {}", option_of(key), alternatives(words, "")));
}

constexpr std::string_view kAccept[] = {"always", "never"}, kLoadScope[] = {"machine", "node"},
                           kOnStop[] = {"drain", "stay"},
                           kMembership[] = {"builtin", "etcd", "off"}, kSwitch[] = {"on", "off"},
                           kShown[] = {"all", "own"}, kControl[] = {"node", "none"};

// One of two words, of which the first means yes.
template <auto kMember, const auto& kWords>
Result<void> either(Options& options, const Value& value, const Key& key, Source source) {
  const auto word = OM_TRY(word_of(kWords, value, key, source));
  if (word) options.*kMember = *word == 0;
  return {};
}

template <auto kMember>
Result<void> guests(Options& options, const Value& value, const Key& key, Source source) {
  options.*kMember = static_cast<uint32_t>(OM_TRY(number_up_to(kMostGuests, value, key, source)));
  return {};
}

Result<void> set_listen(Options& options, const Value& value, const Key&, Source source) {
  const std::string& given = std::get<std::string>(value);
  // An option's address is looked up right away, which checks it.
  if (source == Source::kFile && !Address::could_be(given))
    return plain_error("no address or name: " + escaped(given, 80));
  options.listen_text = given;
  return {};
}

Result<void> set_ports(Options& options, const Value& value, const Key&, Source source) {
  const std::string& range = std::get<std::string>(value);
  if (source == Source::kOption && range.empty()) return {};
  options.ports = OM_TRY(PortRange::parse(range));
  return {};
}

Result<void> set_wire(Options& options, const Value& value, const Key& key, Source source) {
  const auto word = OM_TRY(word_of({"sealed", "plain"}, value, key, source));
  if (word) options.wire = *word == 0 ? Wire::kSealed : Wire::kPlain;
  return {};
}

Result<void> set_membership(Options& options, const Value& value, const Key& key, Source source) {
  const auto word = OM_TRY(word_of(kMembership, value, key, source));
  if (word) options.membership = static_cast<MembershipKind>(*word);
  return {};
}

// "https://host:2379": the port may not be left out, and nothing follows it but a slash.
Result<std::string> endpoint(std::string text) {
  if (text.ends_with('/')) text.pop_back();
  const size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  const std::string host = text.substr(scheme);
  const size_t colon = host.rfind(':');
  if (scheme == 0 || colon == host.npos || colon + 1 == host.size() || !Address::could_be(host))
    return plain_error("etcd: no URL like https://host:2379: " + escaped(text, 80));
  return text;
}

Result<void> set_etcd(Options& options, const Value& value, const Key&, Source) {
  std::vector<std::string> endpoints;
  for (const std::string& text : std::get<std::vector<std::string>>(value))
    endpoints.push_back(OM_TRY(endpoint(text)));
  if (endpoints.size() > kMostEndpoints)
    return plain_error(fmt::format("etcd: more than {} endpoints", kMostEndpoints));
  options.etcd = std::move(endpoints);
  return {};
}

Result<void> set_speed(Options& options, const Value& value, const Key& key, Source source) {
  const std::string& text = std::get<std::string>(value);
  uint32_t speed = 0;
  options.speed.reset();
  if (text == "auto" || (text.empty() && source == Source::kOption)) return {};
  if (!parse_number(text, speed) || speed < kLowestSpeed || speed > kHighestSpeed) {
    return plain_error(fmt::format("{}: auto, or a number from {} to {}",
                                   source == Source::kFile ? std::string(key.name) : option_of(key),
                                   kLowestSpeed, kHighestSpeed));
  }
  options.speed = speed;
  return {};
}

Result<void> set_drain_limit(Options& options, const Value& value, const Key& key, Source source) {
  constexpr int64_t kMost = 24 * 3600;
  options.drain_limit = std::chrono::seconds(OM_TRY(number_up_to(kMost, value, key, source)));
  return {};
}

// A list in one text: commas or blanks between its items.
std::vector<std::string> items_of(const Value& value) {
  std::vector<std::string> items(1);
  for (const char c : std::get<std::string>(value)) {
    if (c != ',' && c != ' ') {
      items.back() += c;
    } else if (!items.back().empty()) {
      items.emplace_back();
    }
  }
  if (items.back().empty()) items.pop_back();
  return items;
}

Result<void> set_seeds(Options& options, const Value& value, const Key& key, Source) {
  std::vector<std::string> seeds = items_of(value);
  if (seeds.size() > kMostSeeds)
    return plain_error(fmt::format("{}: more than {}", key.name, kMostSeeds));
  for (const std::string& seed : seeds) {
    if (!Address::could_be(seed)) return plain_error("no address or name: " + escaped(seed, 80));
  }
  options.seeds = std::move(seeds);
  return {};
}

Result<void> set_srv(Options& options, const Value& value, const Key&, Source) {
  const std::string& domain = std::get<std::string>(value);
  options.srv.reset();
  if (domain.empty()) return {};
  if (domain != "search" && (!Address::could_be(domain) || domain.find(':') != domain.npos))
    return plain_error("srv: no name of a domain: " + escaped(domain, 80));
  options.srv = domain == "search" ? "" : domain;
  return {};
}

Result<void> set_sweep(Options& options, const Value& value, const Key& key, Source) {
  const std::vector<std::string> items = items_of(value);
  if (items.size() > kMostSeeds)
    return plain_error(fmt::format("{}: more than {}", key.name, kMostSeeds));
  std::vector<Subnet> subnets;
  for (const std::string& item : items) subnets.push_back(OM_TRY(Subnet::parse(item)));
  options.sweep = std::move(subnets);
  return {};
}

Result<void> set_namespaces(Options& options, const Value& value, const Key& key, Source source) {
  const auto word = OM_TRY(word_of(proc::kIsolationNames, value, key, source));
  if (word) options.guest_namespaces = static_cast<proc::Isolation>(*word);
  return {};
}

Result<void> set_guest_cpu(Options& options, const Value& value, const Key& key, Source source) {
  const auto word = OM_TRY(word_of(proc::kCpuShareNames, value, key, source));
  if (word) options.guest_resources.cpu = static_cast<proc::CpuShare>(*word);
  return {};
}

Result<void> set_guest_uids(Options& options, const Value& value, const Key&, Source source) {
  const std::string& range = std::get<std::string>(value);
  if (source == Source::kOption && range.empty()) return {};
  options.guest_uids = OM_TRY(proc::UserRange::parse(range));
  return {};
}

// A limit on what guests use, in units of 2^kShift; 0: none.
template <auto kMember, int kShift>
Result<void> most(Options& options, const Value& value, const Key& key, Source source) {
  constexpr int64_t kMost = 1 << 22;
  const int64_t number = OM_TRY(number_up_to(kMost, value, key, source));
  using Member = std::remove_reference_t<decltype(options.guest_resources.*kMember)>;
  options.guest_resources.*kMember = static_cast<Member>(static_cast<uint64_t>(number) << kShift);
  return {};
}

Result<void> set_headroom(Options& options, const Value& value, const Key& key, Source) {
  const int64_t mib = std::get<int64_t>(value);
  if (mib < 0 || mib > 1 << 30) return plain_error(fmt::format("{} is out of range", key.name));
  options.headroom_bytes = static_cast<uint64_t>(mib) << 20;
  return {};
}

Result<void> set_hidden_features(Options& options, const Value& value, const Key&, Source) {
  options.hidden_cpu_features = std::get<std::vector<std::string>>(value);
  return {};
}

Result<void> set_lazy_shared(Options& options, const Value& value, const Key&, Source) {
  const auto& patterns = std::get<std::vector<std::string>>(value);
  const auto is_bad = [](const std::string& pattern) {
    return !pattern.starts_with('/') || pattern.find(':') != pattern.npos;
  };
  if (std::any_of(patterns.begin(), patterns.end(), is_bad))
    return plain_error("lazy_shared must have paths, without colons");
  options.lazy_shared = patterns;
  return {};
}

Result<void> set_ready_fd(Options& options, const Value& value, const Key&, Source) {
  const int64_t number = std::get<int64_t>(value);
  if (number < 0 || number > INT32_MAX) return plain_error("--ready-fd: a descriptor number");
  options.ready_fd = static_cast<int>(number);
  return {};
}

Result<void> set_subnet(Options& options, const Value& value, const Key&, Source) {
  const std::string& subnet = std::get<std::string>(value);
  if (!subnet.empty()) options.private_subnet = OM_TRY(Subnet::parse(subnet));
  return {};
}

using O = Options;
constexpr bool kYes = true, kNo = false;

constexpr Key kTable[] = {
    // name, in options, in file
    {"name", kYes, kYes, Form::kText, "NAME",
     "name of this node: a-z, 0-9 and '-' (default: the host name)", text<&O::name>},
    {"control", kYes, kYes, Form::kText, "PATH",
     "control socket (default: $XDG_RUNTIME_DIR/om/control.sock, root /run/om/control.sock)",
     text<&O::control>},
    {"listen", kYes, kYes, Form::kText, "ADDR[:PORT]",
     "address, or a name for it, for peers and keepers (default: 127.0.0.1; port 0 is any free "
     "one)",
     set_listen},
    {"ports", kYes, kYes, Form::kText, "A-B",
     "TCP ports on which other nodes reach processes of this one that are away (default: any)",
     set_ports},
    {"peers", kYes, kYes, Form::kText, "FILE",
     "peers, one \"NAME ADDRESS:PORT\" per line; SIGHUP has it read, and names looked up, again",
     text<&O::peers_file>},
    {"state", kYes, kYes, Form::kText, "DIR",
     "where it records its deputies and keepers (default: directory of the control socket)",
     text<&O::state_dir>},
    {"identity", kYes, kYes, Form::kText, "DIR",
     "where its key and certificate are (default: ~/.local/state/om, root /var/lib/om)",
     text<&O::identity_dir>},
    {"config", kYes, kNo, Form::kText, "FILE",
     "TOML file with the same names: ", text<&O::config_file>},
    {"membership", kYes, kYes, Form::kText, "WORD",
     "members of a cluster find and watch each other: builtin (default), or know each other by the "
     "site's etcd: etcd, or each dials all: off",
     set_membership},
    {"etcd", kYes, kYes, Form::kTexts, "URLS",
     "with membership etcd: its endpoints, https://HOST:PORT with commas between them (in the "
     "file: "
     "a list)",
     set_etcd},
    {"etcd_user", kYes, kYes, Form::kText, "NAME", "user of etcd; without one: no authentication",
     text<&O::etcd_user>},
    {"etcd_password_file", kYes, kYes, Form::kText, "FILE",
     "the user's password, in a file that nobody else may read", text<&O::etcd_password_file>},
    {"etcd_ca", kYes, kYes, Form::kText, "FILE",
     "certificates, PEM, of which one has signed etcd's (default: those of the system)",
     text<&O::etcd_ca>},
    {"etcd_cert", kYes, kYes, Form::kText, "FILE",
     "certificate, PEM, that etcd is shown; with --etcd-key", text<&O::etcd_cert>},
    {"etcd_key", kYes, kYes, Form::kText, "FILE", "its key, in a file that nobody else may read",
     text<&O::etcd_key>},
    {"seeds", kYes, kYes, Form::kText, "LIST",
     "where members may be, besides those it has met: ADDR[:PORT] or names, with commas between "
     "them",
     set_seeds},
    {"multicast", kYes, kYes, Form::kText, "WORD",
     "look for members on the same network, UDP port 4699: on (default, but for a loopback "
     "address) or off",
     either<&O::multicast, kSwitch>},
    {"srv", kYes, kYes, Form::kText, "DOMAIN",
     "take members from the DNS records _openmosix._tcp of DOMAIN; search: of the usual domains",
     set_srv},
    {"sweep", kYes, kYes, Form::kText, "LIST",
     "look for members at all addresses of these networks: NET/BITS, with commas between them",
     set_sweep},
    {"accept", kYes, kYes, Form::kText, "WORD", "always (default) or never take guests",
     either<&O::accept, kAccept>},
    {"max_guests", kYes, kYes, Form::kNumber, "N",
     "accept at most N guests; the default of this and the next two depends on the number of CPUs",
     guests<&O::max_guests>},
    {"max_guests_per_home", kYes, kYes, Form::kNumber, "N", "at most N from one other node",
     guests<&O::max_guests_per_home>},
    {"max_guests_per_user", kYes, kYes, Form::kNumber, "N",
     "at most N of one user of one other node", guests<&O::max_guests_per_user>},
    {"guest_user", kYes, kYes, Form::kText, "NAME",
     "user that all guests run as if the daemon runs as root", text<&O::guest_user>},
    {"guest_uids", kYes, kYes, Form::kText, "A-B",
     "user ids, one for each guest, if it runs as root and without --guest-user (default: "
     "60100-60999)",
     set_guest_uids},
    {"guest_cpu", kYes, kYes, Form::kText, "WORD",
     "CPU time that guests get beside other programs: normal (default), low or idle",
     set_guest_cpu},
    {"guest_memory_mib", kYes, kYes, Form::kNumber, "MIB",
     "memory that a guest may use before it is sent home; 0, also in the next three, is no limit",
     most<&GuestResources::memory_bytes, 20>},
    {"guests_memory_mib", kYes, kYes, Form::kNumber, "MIB", "that all guests may use together",
     most<&GuestResources::all_memory_bytes, 20>},
    {"guest_threads", kYes, kYes, Form::kNumber, "N", "threads that a guest may have",
     most<&GuestResources::threads, 0>},
    {"guests_threads", kYes, kYes, Form::kNumber, "N",
     "that all guests may have together (default for root: three quarters of this machine's)",
     most<&GuestResources::all_threads, 0>},
    {"guest_namespaces", kYes, kYes, Form::kText, "WORD",
     "guests in namespaces of their own: try (default), require or off", set_namespaces},
    {"memory_headroom_mib", kNo, kYes, Form::kNumber, "", "", set_headroom},
    {"hide_cpu_features", kNo, kYes, Form::kTexts, "", "", set_hidden_features},
    {"lazy_shared", kNo, kYes, Form::kTexts, "", "", set_lazy_shared},
    {"load_scope", kYes, kYes, Form::kText, "WORD",
     "what counts as this node's load: all that runs on the machine (default), or for nodes that "
     "share one its own processes and guests: node",
     either<&O::load_of_machine, kLoadScope>},
    {"speed", kYes, kYes, Form::kWordOrNumber, "N",
     "how fast a CPU of this machine is, 10000 is the reference; auto (default): as measured",
     set_speed},
    {"on_stop", kYes, kYes, Form::kText, "WORD",
     "at SIGTERM and SIGINT all that is away comes home and all guests go home: drain, or nothing "
     "is touched: stay (default)",
     either<&O::drain_on_stop, kOnStop>},
    {"drain_limit_s", kYes, kYes, Form::kNumber, "SECONDS", "how long that may take (default: 60)",
     set_drain_limit},
    {"ready_fd", kYes, kNo, Form::kNumber, "N", "write one JSON line to this descriptor when ready",
     set_ready_fd},
    {"ready_file", kYes, kNo, Form::kText, "FILE", "the same into a file", text<&O::ready_file>},
    {"show_commands", kYes, kYes, Form::kText, "WORD",
     "whose commands users see in om ps and om why: those of all (default) or their own",
     either<&O::show_commands_to_all, kShown>},
    {"remote_control", kYes, kYes, Form::kText, "WORD",
     "what administrators of other members of the cluster may do to this node: nothing, none "
     "(default), or empty it and open it again, node",
     either<&O::remote_control, kControl>},
    {"root_may_leave", kYes, kYes, Form::kFlag, "",
     "processes with root's privileges move as well: whoever administers another node is then root "
     "here",
     flag<&O::root_may_leave>},
    {"insecure", kYes, kYes, Form::kFlag, "",
     "without a cluster's certificate, or with wire plain: listen on other than loopback addresses",
     flag<&O::insecure>},
    {"wire", kYes, kYes, Form::kText, "WORD",
     "what nodes send each other is encrypted: sealed (default), or not: plain; the other node "
     "must "
     "have the same",
     set_wire},
    {"netns_private", kYes, kNo, Form::kText, "NET",
     "the daemon is in the private network namespace of a local cluster, NET its subnet",
     set_subnet},
    {"help", kYes, kNo, Form::kFlag, "", "this text", flag<&O::help>},
    {"version", kYes, kNo, Form::kFlag, "", "its version", flag<&O::version>},
};

constexpr size_t kHelpColumn = 24, kWidth = 100;

// The file's keys, for the end of the help of --config.
std::string names_in_file(size_t column) {
  std::string names;
  for (const Key& key : kTable) {
    if (!key.in_file) continue;
    if (!names.empty()) names += ',';
    if (column + key.name.size() + 2 > kWidth) {
      names += '\n' + std::string(kHelpColumn, ' ');
      column = kHelpColumn;
    } else if (!names.empty()) {
      names += ' ';
      ++column;
    }
    names += key.name;
    column += key.name.size() + 1;
  }
  return names;
}

}  // namespace

std::span<const Key> key_table() { return kTable; }

const Key* find_key(std::string_view name, Source source) {
  const Key* found = std::find_if(std::begin(kTable), std::end(kTable), [&](const Key& key) {
    return (source == Source::kFile ? key.in_file : key.in_options) && key.name == name;
  });
  return found == std::end(kTable) ? nullptr : found;
}

std::string option_of(const Key& key) {
  std::string option = "--" + std::string(key.name);
  std::replace(option.begin(), option.end(), '_', '-');
  return option;
}

std::string usage() {
  std::string out = "usage: om-migrator [options]\n\nThe daemon of one openMosix node.\n\n";
  for (const Key& key : kTable) {
    if (!key.in_options) continue;
    std::string line = "  " + option_of(key);
    if (!key.argument.empty()) line.append(" ").append(key.argument);
    if (line.size() + 2 > kHelpColumn) {
      out += line + '\n';
      line.clear();
    }
    line.resize(kHelpColumn, ' ');
    line += key.help;
    if (key.name == "config") line += names_in_file(line.size());
    out += line + '\n';
  }
  return out +
         "\nSignals: SIGHUP reads peers and certificate again, SIGTERM and SIGINT end the daemon "
         "(--on-stop), the second time at once.\nEnvironment: OM_LOG, OM_LIBEXEC.\n";
}

}  // namespace om::migrator
