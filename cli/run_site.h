// SPDX-License-Identifier: Apache-2.0
//
// One host of om cluster run, from the shell that the launcher starts there to the node that is a member and back to
// nothing. Each function blocks; the sites of a cluster are worked on by a thread each.
#pragma once

#include <string>

#include "cli/run_facts.h"
#include "cli/run_hosts.h"
#include "cli/run_programs.h"
#include "cli/spawned.h"
#include "common/net/address.h"

namespace om::cli {

class RunSite {
 public:
  explicit RunSite(RunHost host) : host_(std::move(host)) {}

  // Starts the shell, learns what the host is, and copies the programs there unless the same are installed. `stop`: as
  // for Spawned. Errors: why it is no use; end() takes back what was made.
  Result<void> prepare(const Programs& programs, int stop);

  // Finds out where the host is to listen, which may ask the resolver. Preconditions: prepare(). Errors: its address is
  // not known.
  Result<void> find_place();
  struct Place {
    bool here = false;  // on this machine and in its network: any address of ours
    Address address;    // else
  };
  const Place& place() const { return place_; }

  // Starts its node, which joins through `home`. Errors: as for prepare().
  struct Membership {
    std::string listen, token, home, home_node;
  };
  Result<void> join(const Membership& membership);

  // Reads what has come, without waiting. False once the host has gone.
  bool look() { return channel_.look(); }
  int output() const { return channel_.output(); }
  // Ends the node: its guests go home, and what was made there is removed. Errors: whether that was done is not known.
  // Harmless if nothing was started, or it has ended.
  Result<void> end();

  const RunHost& host() const { return host_; }
  const std::string& address() const { return address_; }  // of its node, with port
  bool copied() const { return copied_; }
  // Why it has gone.
  std::string last_words();

 private:
  Result<void> copy(const Programs& programs);

  RunHost host_;
  Spawned channel_;
  HostFacts facts_;
  Place place_;
  bool copied_ = false;
  std::string address_;
};

}  // namespace om::cli
