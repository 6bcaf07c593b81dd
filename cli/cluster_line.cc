// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_line.h"

#include <CLI/CLI.hpp>

#include "cli/membership_line.h"
#include "common/cpu/cpu_baseline.h"

namespace om::cli {
namespace {

using Action = std::function<int()>;

CLI::App* verb(CLI::App& app, const char* name, const char* what, const char* examples) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->footer(std::string("Examples:\n") + examples);
  return sub;
}

void add_dev(CLI::App& cluster, ClusterLineArguments& given, Action& action) {
  CLI::App* dev = verb(cluster, "dev", "a cluster on this machine, for tests and demonstrations",
                       "  om cluster dev start --nodes 3 --dir /tmp/c\n"
                       "  eval \"$(om cluster dev env --dir /tmp/c --node n1)\"\n"
                       "  om cluster dev stop --dir /tmp/c");
  dev->require_subcommand(1);

  CLI::App* sub = verb(
      *dev, "start", "start nodes n1, n2, ...; returns when all see each other",
      "  om cluster dev start --nodes 3 --dir /tmp/c\n"
      "  om cluster dev start --dir /tmp/c --netns    (root: a network namespace for each node)");
  sub->add_option("--dir", given.dev.dir, "directory for its state, made if missing")->required();
  sub->add_option("--nodes", given.dev.nodes, "how many (default 3)");
  sub->add_flag("--netns", given.dev.netns, "one network namespace per node");
  sub->add_flag("--plain", given.dev.plain, "nothing is encrypted, for comparison");
  sub->callback([&] { action = [&] { return cluster_dev_start(given.dev); }; });

  sub = verb(*dev, "stop", "bring processes home, end the nodes, leave nothing behind",
             "  om cluster dev stop --dir /tmp/c");
  sub->add_option("--dir", given.dev.dir, "as given to start")->required();
  sub->callback([&] { action = [&] { return cluster_dev_stop(given.dev); }; });

  sub = verb(*dev, "env", "print shell commands that select a node",
             "  eval \"$(om cluster dev env --dir /tmp/c --node n1)\"");
  sub->add_option("--dir", given.dev.dir, "as given to start")->required();
  sub->add_option("--node", given.dev.node, "n1, n2, ...")->required();
  sub->callback([&] { action = [&] { return cluster_dev_env(given.dev); }; });
}

void add_run(CLI::App& cluster, ClusterLineArguments& given, Action& action) {
  CLI::App* sub = verb(
      cluster, "run", "run a program in a cluster that is made for it, and ends with it",
      "  om cluster run --hosts pc2,pc3 -- make -j12\n"
      "  om cluster run --hosts box --launcher \"docker exec -i\" -- ./job\n"
      "  om cluster run --slurm -- ./job        (inside an allocation)\n"
      "Hosts that are no use are named and left out. Exit status: the job's own, as for om run.");
  sub->add_option("--hosts", given.run.hosts, "names of hosts, for ssh or the launcher")
      ->type_name("A,B,...");
  sub->add_option("--launcher", given.run.launcher,
                  "instead of ssh: this command, a host's name and /bin/sh start a shell there")
      ->type_name("CMD");
  sub->add_flag("--slurm", given.run.slurm, "the nodes of the Slurm allocation, by srun");
  sub->add_option("--balance", given.run.balance,
                  "who moves processes: none (default), nobody but you")
      ->type_name("POLICY");
  sub->add_option("--cpu", given.run.cpu, "as for om run: " + cpu_baseline_names() + ", host")
      ->type_name("LEVEL");
  sub->add_flag("--verbose", given.run.verbose, "print the nodes, and OM_CONTROL for other shells");
  // Only for the help: split_arguments() removes the command before CLI11 parses.
  sub->add_option("COMMAND", given.run.command,
                  "the program and its arguments, after -- if in doubt");
  sub->callback([&] { action = [&] { return cluster_run(given.run); }; });

  sub = cluster.add_subcommand("run-node", "the far end of om cluster run");
  sub->group("");  // hidden
  sub->add_option("DIR", given.run_node, "made by its script")->required();
  sub->callback([&] { action = [&] { return cluster_run_node(given.run_node); }; });
}

}  // namespace

void add_cluster_verbs(CLI::App& app, ClusterLineArguments& given, Action& action) {
  CLI::App* cluster = verb(app, "cluster", "make, join and leave a cluster",
                           "  om cluster init lab\n  om cluster join lab.7f3k2m... pc1\n"
                           "  om cluster status\n  om cluster run --hosts pc2,pc3 -- ./job\n"
                           "  om cluster dev start --nodes 3 --dir /tmp/c");
  cluster->require_subcommand(1);
  add_membership_verbs(app, *cluster, given.membership, action);
  add_run(*cluster, given, action);
  add_dev(*cluster, given, action);
}

}  // namespace om::cli
