// SPDX-License-Identifier: Apache-2.0
//
// The verbs of om: one function and one file each. main.cc fills in the arguments from the command line; each function
// returns the exit status (common/net/control.h).
#pragma once

#include <string>
#include <vector>

namespace om::cli {

struct MigrateArguments {
  int pid = 0;
  std::string to;
  double timeout_s = 60;
  bool json = false;
};
int migrate(const MigrateArguments& arguments);

int ps(bool json);
int where(int pid, bool json);
struct TraceArguments {
  int pid = 0;
  bool summary = false;
  bool json = false;
};
int trace(const TraceArguments& arguments);

int stack(int pid, bool json);
int why(int pid, bool json);
int nodes(bool all, bool json);
int node_info(const std::string& node, bool json);  // empty: this one
int node_why(const std::string& node, bool json);
// node: empty for this one.
int node_drain(const std::string& node, int limit_s, bool json);
int node_undrain(const std::string& node, bool json);
int guests(bool json);
// pid: as guests shows it; 0: all.
int expel(int pid, int limit_s, bool json);
int bring(int limit_s, bool json);
int doctor(bool json);
int version(bool json);
int events(int pid, bool json);

struct CheckArguments {
  std::vector<std::string> command;
  bool json = false;
};
int check(const CheckArguments& arguments);

struct RunArguments {
  std::vector<std::string> command;
  std::string cpu;  // empty or "host": no restriction
  bool home_cpus = false;
};
int run(const RunArguments& arguments);

struct ClusterArguments {
  std::string dir;
  int nodes = 3;
  bool netns = false;
  bool plain = false;  // nothing is encrypted
  std::string node;    // env: which node; start: unused
};
int cluster_dev_start(const ClusterArguments& arguments);
int cluster_dev_stop(const ClusterArguments& arguments);
int cluster_dev_env(const ClusterArguments& arguments);

struct ClusterRunArguments {
  std::vector<std::string> command;
  std::string hosts;     // names, separated by commas
  std::string launcher;  // empty: ssh
  bool slurm = false;
  std::string balance = "none";
  std::string cpu;  // as for run
  bool verbose = false;
};
int cluster_run(const ClusterRunArguments& arguments);
// Its far end.
int cluster_run_node(const std::string& directory);

// Of om cluster and om token, except om cluster dev and run; each verb uses some of them.
struct MembershipArguments {
  std::string name;        // init: of the cluster
  std::string token;       // join; "-": on stdin
  std::string address;     // join: of a member
  std::string ttl = "1h";  // init, token create: as parse_duration() reads it
  int uses = 0;            // init, token create; 0: the default of the verb
  std::string node;        // remove: name or id
  std::string reason;      // remove
  std::string id;          // token revoke
  std::string file;        // ca export, ca import
  bool force = false;      // leave
  bool json = false;
};
int cluster_init(const MembershipArguments& arguments);
int cluster_join(const MembershipArguments& arguments);
int cluster_status(const MembershipArguments& arguments);
int cluster_leave(const MembershipArguments& arguments);
int cluster_renew(const MembershipArguments& arguments);
int cluster_remove(const MembershipArguments& arguments);
int cluster_ca_export(const MembershipArguments& arguments);
int cluster_ca_import(const MembershipArguments& arguments);
int token_create(const MembershipArguments& arguments);
int token_list(const MembershipArguments& arguments);
int token_revoke(const MembershipArguments& arguments);

struct DebugArguments {
  std::string what;
  int pid = 0;  // 0: about the daemon
};
int debug(const DebugArguments& arguments);

}  // namespace om::cli
