// SPDX-License-Identifier: Apache-2.0
//
// What om-migrator is told: command line over configuration file (TOML) over defaults. Everything is
// checked here, before anything is opened; a mistake is one line and exit status 2.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/address.h"
#include "migrator/peers/admission.h"

namespace om::migrator {

struct Options {
  std::string name;                       // default: the host name
  std::string control;                    // default: common/base/names.h
  Address listen;                         // default: 127.0.0.1, port 0
  std::string listen_text = "127.0.0.1";  // the same as it was given: an address or a name
  std::string peers_file;                 // empty: none
  std::string config_file;                // empty: none
  std::string state_dir;                  // default: the directory of the control socket
  int ready_fd = -1;
  std::string ready_file;
  bool accept = true;  // accept = "always" or "never"
  bool insecure = false;
  bool root_may_leave = false;           // processes with root's privileges move, too
  std::optional<Subnet> private_subnet;  // --netns-private
  std::string guest_user = "nobody";     // user that guests run as, if the daemon is root
  uint64_t headroom_bytes = 64 << 20;    // memory that guests never get
  std::vector<std::string>
      hidden_cpu_features;  // what guests must not count on, by their names in /proc/cpuinfo
  // Files that keep no process at home although it writes to them by a shared mapping (common/movable/lazy_shared.h).
  std::optional<std::vector<std::string>> lazy_shared;
  // How many; what is not given follows from the number of CPUs.
  std::optional<uint32_t> max_guests, max_guests_per_home, max_guests_per_user;
  GuestLimits guest_limits(uint32_t cpus) const;
  bool help = false;
  bool version = false;
};

constexpr uint32_t kMostGuests = 1 << 20;  // what a limit may be

// arguments: without argv[0].
Result<Options> parse_options(const std::vector<std::string>& arguments);

// The part of a configuration file; unknown keys and wrong types are an Error with the line.
Result<void> apply_config(Options& options, const std::string& text, const std::string& file_name);

// Whether this daemon may listen there. Nodes do not authenticate each other yet, so only loopback addresses, or an
// address in the cluster's own network namespace (in_private_namespace), or with --insecure.
Result<void> check_listen(const Options& options, bool in_private_namespace);

// Whether this process is in a network namespace that om cluster dev has made (/run/netns/om-*).
bool in_private_network_namespace();

// A host name as a node name: lower case, without its domain, other characters become '-'.
std::string node_name_from_host(std::string_view host);

}  // namespace om::migrator
