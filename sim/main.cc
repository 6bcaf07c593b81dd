// SPDX-License-Identifier: Apache-2.0
//
// om-sim: a cluster on paper. Prints one line of JSON per run; with --explain first what happens, a line each.
// Exit status 0, or 1 with a line on stderr; 2: usage.
#include <stdio.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "sim/gossip.h"
#include "sim/report.h"
#include "sim/trace.h"

namespace {

using namespace om::sim;

struct Options {
  std::string kind = "lab", policy = "flow", trace, save;
  size_t nodes = 20, jobs = 0;
  double work_s = 20, loss = 0;
  bool explain = false, no_placement = false, no_moves = false, no_asking = false;
  Load load{};
  Settings settings{};
  GossipSettings gossip{};
};

const std::map<std::string, Kind> kKinds{{"lab", Kind::kLab},
                                         {"equal", Kind::kEqual},
                                         {"two", Kind::kTwo},
                                         {"quad", Kind::kQuad},
                                         {"small", Kind::kSmall}};

void add_cluster_options(CLI::App& app, Options& o) {
  app.add_option("--nodes", o.nodes, "number of nodes")->check(CLI::Range(1, 20000));
  app.add_option("--kind", o.kind, "lab, equal, two, quad or published")
      ->check(CLI::IsMember({"lab", "equal", "two", "quad", "published"}));
  app.add_option("--policy", o.policy, "flow, mosix, opportunity, two-choices, roundrobin or off");
  app.add_option("--seed", o.load.seed, "of jobs and chance");
  app.add_option("--burst", o.jobs, "so many equal jobs at once on one node");
  app.add_option("--work", o.work_s, "of each of them, CPU seconds")->check(CLI::PositiveNumber);
  app.add_option("--trace", o.trace, "nodes and jobs from a file");
  app.add_option("--save", o.save, "writes nodes and jobs to a file");
  app.add_flag("--explain", o.explain, "prints what happens");
}

void add_load_options(CLI::App& app, Options& o) {
  app.add_option("--utilisation", o.load.utilisation, "of all CPUs")->check(CLI::Range(0.01, 0.99));
  app.add_option("--seconds", o.load.seconds, "of arrivals")->check(CLI::Range(1.0, 1e6));
  app.add_option("--least-work", o.load.least_s, "seconds")->check(CLI::PositiveNumber);
  app.add_option("--most-work", o.load.most_s, "seconds")->check(CLI::PositiveNumber);
  app.add_option("--at-few", o.load.at_few, "share of jobs at a fifth of the nodes");
  app.add_option("--talkative", o.load.talkative, "share of jobs with many calls");
  app.add_option("--memory", o.load.memory, "times the usual");
  app.add_option("--loss", o.loss, "of datagrams")->check(CLI::Range(0.0, 1.0));
}

void add_rule_options(CLI::App& app, Options& o) {
  om::balance::Constants& constants = o.settings.constants;
  app.add_flag("--no-placement", o.no_placement, "jobs start at home");
  app.add_flag("--no-moves", o.no_moves, "jobs stay where they started");
  app.add_flag("--no-asking", o.no_asking, "targets take what comes");
  app.add_option("--margin", constants.margin, "");
  app.add_option("--placement-factor", constants.placement_factor, "");
  app.add_option("--weight-at-exec", constants.weight_at_exec_s, "seconds");
  app.add_option("--cost-factor", constants.cost_factor, "");
  app.add_option("--period", constants.period_s, "seconds")->check(CLI::PositiveNumber);
  app.add_option("--departures", constants.departures, "");
  app.add_option("--targets", constants.targets, "");
  app.add_option("--until", o.settings.most_s, "ends the simulation, seconds");
}

om::Result<Scenario> scenario_of(const Options& o) {
  if (!o.trace.empty()) return read_trace(o.trace);
  Scenario scenario;
  if (o.jobs > 0) {
    scenario =
        burst(kKinds.at(o.kind == "published" ? "small" : o.kind), o.nodes, o.jobs, o.work_s);
  } else if (o.kind == "published") {
    scenario = published(o.load);
  } else {
    scenario = poisson(kKinds.at(o.kind), o.nodes, o.load);
  }
  scenario.network.loss = o.loss;
  return scenario;
}

int run(Options& o) {
  auto scenario = scenario_of(o);
  if (!scenario) {
    fprintf(stderr, "om-sim: %s\n", scenario.error().text().c_str());
    return 1;
  }
  if (!o.save.empty()) {
    const auto written = write_trace(*scenario, o.save);
    if (!written) {
      fprintf(stderr, "om-sim: %s\n", written.error().text().c_str());
      return 1;
    }
  }
  const auto policy = om::balance::policy_from_name(o.policy);
  if (!policy) {
    fprintf(stderr, "om-sim: there is no policy %s\n", o.policy.c_str());
    return 2;
  }
  o.settings.policy = *policy;
  o.settings.seed = o.load.seed;
  o.settings.placement = !o.no_placement;
  o.settings.moving = !o.no_moves;
  o.settings.asking = !o.no_asking;
  if (o.explain)
    o.settings.explain = [](double now, const std::string& line) {
      printf("%10.3f  %s\n", now, line.c_str());
    };
  const auto start = std::chrono::steady_clock::now();
  World world(*scenario, o.settings);
  world.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  printf("%s\n", report(*scenario, o.settings, world, took.count()).c_str());
  return 0;
}

int run_gossip(const GossipSettings& settings) {
  const GossipFigures figures = measure_gossip(settings);
  printf(
      "{\"nodes\": %zu, \"kept\": %zu, \"seed\": %lu, \"mean_age\": %.3f, \"expected_age\": %.3f, "
      "\"worst_age\": %.2f, \"known\": %.1f, \"bytes_per_s\": %.2f}\n",
      settings.nodes, settings.kept, settings.seed, figures.mean_age,
      expected_age(static_cast<double>(settings.nodes), om::balance::LoadTable::kWindow),
      figures.worst_age, figures.known, figures.bytes_per_s);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"simulates a cluster with the shipped balancing code", "om-sim"};
  Options options;
  app.require_subcommand(1);
  CLI::App* jobs = app.add_subcommand("run", "jobs on a cluster");
  add_cluster_options(*jobs, options);
  add_load_options(*jobs, options);
  add_rule_options(*jobs, options);
  CLI::App* gossip = app.add_subcommand("gossip", "how old the news of nodes are");
  gossip->add_option("--nodes", options.gossip.nodes, "number of nodes")
      ->check(CLI::Range(2, 20000));
  gossip->add_option("--kept", options.gossip.kept, "entries that a node keeps")
      ->check(CLI::Range(1, 20000));
  gossip->add_option("--loss", options.gossip.loss, "of datagrams")->check(CLI::Range(0.0, 1.0));
  gossip->add_option("--rounds", options.gossip.rounds, "intervals");
  gossip->add_option("--seed", options.gossip.seed, "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return jobs->parsed() ? run(options) : run_gossip(options.gossip);
}
