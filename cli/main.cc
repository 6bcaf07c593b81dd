// SPDX-License-Identifier: Apache-2.0
//
// om, also called openmosix: parses the command line and calls one verb. Only this file, cluster_line.cc and
// membership_line.cc include CLI11, which is slow to compile. Exit status 2 for a wrong command line (125 for `om run`,
// as in env(1)).
#include <CLI/CLI.hpp>

#include <signal.h>
#include <stdio.h>

#include "cli/cluster_line.h"
#include "cli/command_line.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "common/base/version.h"
#include "common/cpu/cpu_baseline.h"
#include "common/net/control.h"

namespace {

using namespace om::cli;

const CLI::Validator kPid(complaint_about_pid, "");
constexpr const char* kJsonHelp = "print JSON";
constexpr const char* kOtherHelp = "another node that allows it (default: this one)";

struct Arguments {
  MigrateArguments migrate;
  RunArguments run;
  CheckArguments check;
  ClusterLineArguments cluster;
  DebugArguments debug;
  TraceArguments trace;
  std::string node;
  int drain_s = 60;
  int pid = 0;
  bool json = false;
  bool all = false;
};

// The verb chosen by the command line, with its arguments.
using Action = std::function<int()>;

CLI::App* verb(CLI::App& app, const char* name, const char* what, const char* examples) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->footer(std::string("Examples:\n") + examples);
  return sub;
}

// For verbs that send or fetch many.
void add_limit(CLI::App& sub, Arguments& given) {
  sub.add_option("--timeout", given.drain_s, "seconds that it may take (default 60)")
      ->check(CLI::Range(1, 86400))
      ->type_name("");
}

void add_process_verbs(CLI::App& app, Arguments& given, Action& action) {
  CLI::App* sub = verb(
      app, "migrate", "move a running process to a node, or home",
      "  om migrate 4711 n2\n  om migrate 4711 home\n  om migrate --json --timeout 10 4711 n3");
  sub->add_option("PID", given.migrate.pid, "the process, or the om run that started it")
      ->required()
      ->check(kPid)
      ->type_name("");
  sub->add_option("NODE", given.migrate.to, "a node of om nodes, or: home")
      ->required()
      ->type_name("");
  sub->add_option("--timeout", given.migrate.timeout_s, "seconds to wait (default 60)")
      ->check(CLI::Validator(
          [](const std::string& text) {
            double seconds = 0;
            const bool right =
                CLI::detail::lexical_cast(text, seconds) && seconds >= 0.001 && seconds <= 86400;
            return right ? std::string() : text + " is not a number of seconds from 0.001 to 86400";
          },
          ""))
      ->type_name("SECONDS");
  sub->add_flag("--json", given.migrate.json, kJsonHelp);
  sub->callback([&] { action = [&] { return migrate(given.migrate); }; });

  sub = verb(app, "ps", "list the processes of this node, wherever they run",
             "  om ps\n  om ps --json");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return ps(given.json); }; });

  sub = verb(app, "where", "print the node where a process runs", "  om where 4711");
  sub->add_option("PID", given.pid, "the process")->required()->check(kPid)->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return where(given.pid, given.json); }; });

  sub = verb(app, "stack", "print where the threads of a process are, wherever it runs",
             "  om stack 4711\n  om stack --json 4711");
  sub->add_option("PID", given.pid, "the process")->required()->check(kPid)->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return stack(given.pid, given.json); }; });

  sub = verb(app, "trace", "print the calls of a process that are forwarded to this node",
             "  om trace 4711\n  om trace --summary 4711");
  sub->add_option("PID", given.trace.pid, "the process")->required()->check(kPid)->type_name("");
  sub->add_flag("--summary", given.trace.summary, "count calls instead, until it ends or Ctrl-C");
  sub->add_flag("--json", given.trace.json, kJsonHelp);
  sub->callback([&] { action = [&] { return trace(given.trace); }; });

  sub = verb(app, "why", "explain why a process cannot be moved",
             "  om why 4711\n  om why --json 4711");
  sub->add_option("PID", given.pid, "the process")->required()->check(kPid)->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return why(given.pid, given.json); }; });
}

void add_job_verbs(CLI::App& app, Arguments& given, Action& action) {
  CLI::App* sub =
      verb(app, "run", "start a program that can be moved",
           "  om run ./job --its --options\n  om run -- ./job\n  om run --cpu x86-64-v3 -- ./job\n"
           "Exit status: the job's own; 128+n if signal n ended it; 125, 126, 127 as env(1).");
  sub->add_option("--cpu", given.run.cpu,
                  "use no more than this CPU level, so that the job can go to smaller CPUs: " +
                      om::cpu_baseline_names() + ", host (default)")
      ->type_name("LEVEL");
  sub->add_flag("--home-cpus", given.run.home_cpus,
                "only on CPUs whose numbers exist here, for programs that count on them");
  // Only for the help: split_arguments() removes the command before CLI11 parses.
  sub->add_option("COMMAND", given.run.command,
                  "the program and its arguments, after -- if in doubt");
  sub->callback([&] { action = [&] { return run(given.run); }; });

  sub = verb(app, "check", "tell whether a program could be moved, without starting it",
             "  om check -- ./job\n  om check --json -- python3 script.py\nExit status: 0 it "
             "could, 6 it could not.");
  sub->add_flag("--json", given.check.json, kJsonHelp);
  sub->add_option("COMMAND", given.check.command,
                  "the program and its arguments, after -- if in doubt");
  sub->callback([&] { action = [&] { return check(given.check); }; });
}

void add_node_verbs(CLI::App& app, Arguments& given, Action& action) {
  CLI::App* sub = verb(app, "nodes", "list this node and its peers",
                       "  om nodes\n  om nodes --all\n  om nodes --json");
  sub->add_flag("--all", given.all,
                "also nodes that have left or were removed, and strangers on the same network");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return nodes(given.all, given.json); }; });

  CLI::App* node = verb(app, "node", "look at one node, or empty one",
                        "  om node info\n  om node why n2\n  om node drain");
  node->require_subcommand(1);
  sub = verb(*node, "info", "what is known about a node, and how guests are confined on this one",
             "  om node info\n  om node info n2 --json");
  sub->add_option("NODE", given.node, "a node of om nodes (default: this one)")->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return node_info(given.node, given.json); }; });
  sub = verb(*node, "why", "explain why a node takes no processes now",
             "  om node why n2\n  om node why --json n2");
  sub->add_option("NODE", given.node, "a node of om nodes")->required()->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return node_why(given.node, given.json); }; });
  sub = verb(*node, "drain", "send guests home, bring home what is away, take nobody any more",
             "  om node drain\n  om node drain --timeout 600 --json\n  om node drain n2");
  sub->add_option("NODE", given.node, kOtherHelp)->type_name("");
  add_limit(*sub, given);
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback(
      [&] { action = [&] { return node_drain(given.node, given.drain_s, given.json); }; });
  sub = verb(*node, "undrain", "take guests again", "  om node undrain\n  om node undrain n2");
  sub->add_option("NODE", given.node, kOtherHelp)->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return node_undrain(given.node, given.json); }; });

  sub = verb(app, "guests", "list the processes of other nodes that run here",
             "  om guests\n  om guests --json");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return guests(given.json); }; });
  sub = verb(app, "expel", "send guests home", "  om expel 4711\n  om expel --all --timeout 10");
  CLI::Option* one =
      sub->add_option("PID", given.pid, "one of om guests")->check(kPid)->type_name("");
  sub->add_flag("--all", given.all, "all of them")->excludes(one);
  add_limit(*sub, given);
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] {
    if (given.pid == 0 && !given.all) throw CLI::RequiredError("a PID of om guests, or --all,");
    action = [&] { return expel(given.pid, given.drain_s, given.json); };
  });
  sub = verb(app, "bring", "bring home your processes that are away",
             "  om bring --all\n  om bring 4711");
  one = sub->add_option("PID", given.migrate.pid, "one of them: as om migrate PID home")
            ->check(kPid)
            ->type_name("");
  sub->add_flag("--all", given.all, "all of them")->excludes(one);
  add_limit(*sub, given);
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] {
    if (given.migrate.pid == 0 && !given.all) throw CLI::RequiredError("a PID, or --all,");
    action = [&] {
      if (given.all) return bring(given.drain_s, given.json);
      given.migrate.to = "home";
      given.migrate.timeout_s = given.drain_s;
      given.migrate.json = given.json;
      return migrate(given.migrate);
    };
  });

  sub = verb(app, "events", "list recent events",
             "  om events\n  om events 4711\n  om events --json");
  sub->add_option("PID", given.pid, "only about this process")->check(kPid)->type_name("");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return events(given.pid, given.json); }; });

  sub = verb(app, "doctor", "check what this machine provides and what is missing",
             "  om doctor\n  om doctor --json");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return doctor(given.json); }; });

  sub = verb(app, "version", "print versions", "  om version\n  om version --json");
  sub->add_flag("--json", given.json, kJsonHelp);
  sub->callback([&] { action = [&] { return version(given.json); }; });

  sub = app.add_subcommand("debug", "aids for tests");
  sub->group("");  // hidden
  sub->add_option("WHAT", given.debug.what, "cut, ... or a verb of the daemon")->required();
  sub->add_option("PID", given.debug.pid, "the process whose deputy is meant")
      ->check(kPid)
      ->type_name("");
  sub->callback([&] { action = [&] { return debug(given.debug); }; });
}

// What is wrong with the words that should name verbs, before the first option; empty if nothing is.
std::string wrong_verb(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  std::string path = "om";
  for (const std::string& word : words) {
    if (word.empty() || word.front() == '-') break;
    const auto verbs = at->get_subcommands([](const CLI::App*) { return true; });
    if (verbs.empty()) break;  // arguments from here on
    const auto asked = std::find_if(verbs.begin(), verbs.end(),
                                    [&](const CLI::App* sub) { return sub->check_name(word); });
    if (asked == verbs.end()) {
      std::vector<std::string> names;
      for (const CLI::App* sub : verbs) {
        if (!sub->get_group().empty()) names.push_back(sub->get_name());  // a hidden one has none
      }
      const std::string nearest = nearest_word(word, names);
      return "there is no verb " + word + "; " +
             (nearest.empty() ? "see " + path + " --help"
                              : "did you mean " + path + " " + nearest + "?");
    }
    at = *asked;
    path += " " + word;
  }
  return "";
}

int main_of(const std::vector<std::string>& arguments) {
  constexpr int kRunUsage = 125;
  CLI::App app{"Moves running programs between the nodes of an openMosix cluster."};
  app.name("om");
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", std::string("openMosix ") + om::build_version());
  app.footer(
      "Exit status: 0 ok, 1 failure, 2 usage, 3 no daemon, 4 no such process or node, 5 "
      "permission, 6 refused, "
      "7 timeout, 8 some are left.\n"
      "Environment: OM_CONTROL names the daemon's socket, OM_PRELOAD libom.so. See om help VERB.");
  Arguments given;
  Action action;
  add_process_verbs(app, given, action);
  add_job_verbs(app, given, action);
  add_node_verbs(app, given, action);
  add_cluster_verbs(app, given.cluster, action);

  SplitArguments split = split_arguments(arguments);
  if (!arguments.empty() && arguments.front() == "help") {  // om help VERB is om VERB --help
    split.own.erase(split.own.begin());
    split.own.push_back("--help");
  }
  bool is_run = !arguments.empty() && arguments.front() == "run";
  bool is_check = !arguments.empty() && arguments.front() == "check";
  bool is_cluster_run = begins_cluster_run(arguments);
  int usage = is_run ? kRunUsage : static_cast<int>(om::ExitCode::kUsage);
  if (arguments.empty()) {
    ::fputs(app.help().c_str(), stderr);
    return usage;
  }
  if (const std::string wrong = wrong_verb(app, split.own); !wrong.empty()) {
    complain(wrong);
    return usage;
  }
  try {
    app.parse(std::vector<std::string>(split.own.rbegin(), split.own.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_name() == "CallForVersion") return print_text(std::string(error.what()) + "\n");
    if (error.get_exit_code() == 0) return app.exit(error) == 0 ? 0 : usage;  // --help
    complain(error.what());
    ::fprintf(stderr, "See om %s--help.\n",
              split.own.empty() ? "" : (split.own.front() + " ").c_str());
    return usage;
  }
  if ((is_run || is_check || is_cluster_run) && split.command.empty()) {
    complain((is_cluster_run ? "cluster run" : arguments.front()) + ": no command is given");
    return usage;
  }
  given.run.command = split.command;
  given.check.command = split.command;
  given.cluster.run.command = split.command;
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  return main_of(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
}
