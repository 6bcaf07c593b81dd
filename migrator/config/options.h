// SPDX-License-Identifier: Apache-2.0
//
// om-migrator's settings: the command line overrides the configuration file (TOML), which overrides the defaults.
// Everything is checked here, before anything is opened; an error is one line and exit status 2.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/address.h"
#include "common/net/ports.h"
#include "common/proc/namespaces.h"
#include "common/proc/users.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/guest_resources.h"

namespace om::migrator {

// What nodes may send each other.
enum class Wire : uint8_t {
  kSealed,  // encrypted and authenticated; nothing else
  kPlain,   // readable for everybody; nothing else, too
};

// How members of a cluster know of each other.
enum class MembershipKind : uint8_t {
  kBuiltin,  // by gossip
  kEtcd,     // by keys in etcd
  kOff,      // as peers that each node dials
};

struct Options {
  std::string name;                       // default: the host name, or that in the certificate
  bool name_given = false;                // not a default
  std::string control;                    // default: common/base/names.h
  Address listen;                         // default: 127.0.0.1, port 0
  std::string listen_text = "127.0.0.1";  // the same as given: an address or a name
  PortRange ports;                        // of deputies; default: any
  std::string peers_file;                 // empty: none
  std::string config_file;                // empty: none
  std::string state_dir;                  // default: the directory of the control socket
  std::string identity_dir;               // empty: default_state_path() of identity/identity.h
  int ready_fd = -1;
  std::string ready_file;
  bool accept = true;  // accept = "always" or "never"
  bool insecure = false;
  bool load_of_machine = true;    // load_scope = "machine" or "node"
  std::optional<uint32_t> speed;  // default: as measured
  bool remote_control = false;    // remote_control = "node" or "none"
  bool drain_on_stop = false;     // on_stop = "drain" or "stay"
  std::chrono::milliseconds drain_limit{60'000};
  Wire wire = Wire::kSealed;
  MembershipKind membership = MembershipKind::kBuiltin;
  std::vector<std::string> etcd;    // URLs of endpoints, without a path
  std::string etcd_user;            // empty: none
  std::string etcd_password_file;   // empty: none
  std::string etcd_password;        // what is in it
  std::string etcd_ca;              // PEM file; empty: the system's CAs
  std::string etcd_cert, etcd_key;  // PEM files; empty: none
  std::vector<std::string> seeds;   // names or addresses of members
  std::optional<bool> multicast;    // default: unless it listens on a loopback address
  std::optional<std::string>
      srv;  // the domain whose service records name members; empty: as the resolver searches
  std::vector<Subnet> sweep;             // where members are looked for, address by address
  bool show_commands_to_all = true;      // show_commands = "all" or "own"
  bool root_may_leave = false;           // processes with root's privileges move as well
  std::optional<Subnet> private_subnet;  // --netns-private
  // If the daemon is root: guests run as this one user, or, if it is empty, each as one of guest_uids.
  std::string guest_user;
  std::optional<proc::UserRange> guest_uids;  // default: kUsualGuestUids
  GuestResources guest_resources;
  proc::Isolation guest_namespaces = proc::Isolation::kTry;
  uint64_t headroom_bytes = 64 << 20;  // memory that guests never get
  std::vector<std::string>
      hidden_cpu_features;  // what guests must not rely on, by their names in /proc/cpuinfo
  // Files that do not keep a process at home although it writes to them through a shared mapping
  // (common/movable/lazy_shared.h).
  std::optional<std::vector<std::string>> lazy_shared;
  // Limits on guests; if not set, they follow from the number of CPUs.
  std::optional<uint32_t> max_guests, max_guests_per_home, max_guests_per_user;
  GuestLimits guest_limits(uint32_t cpus) const;
  bool help = false;
  bool version = false;
};

constexpr proc::UserRange kUsualGuestUids{60100, 60999};
constexpr uint32_t kMostGuests = 1 << 20;  // largest value of a limit
constexpr size_t kMostSeeds = 64;          // of the administrator's, and networks to sweep
constexpr size_t kMostEndpoints = 16;      // of etcd

// arguments: without argv[0].
Result<Options> parse_options(const std::vector<std::string>& arguments);

// Applies the text of a configuration file; unknown keys and wrong types are an Error that names the line.
Result<void> apply_config(Options& options, const std::string& text, const std::string& file_name);

// Checks whether this daemon may listen on options.listen. Without encryption nodes do not authenticate each other, so
// only loopback addresses and addresses in the cluster's own network namespace (in_private_namespace) are allowed then,
// but with --insecure.
Result<void> check_listen(const Options& options, bool in_private_namespace, bool encrypted);

// Whether this process is in a network namespace that om cluster dev has made (/run/netns/om-*).
bool in_private_network_namespace();

}  // namespace om::migrator
