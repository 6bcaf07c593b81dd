// SPDX-License-Identifier: Apache-2.0
#include "cli/membership_line.h"

#include <CLI/CLI.hpp>

namespace om::cli {
namespace {

constexpr const char* kJsonHelp = "print JSON";
constexpr const char* kTtlHelp = "how long the token is good: 90s, 30m, 12h, 7d (default 1h)";

using Verb = int (*)(const MembershipArguments&);

struct Line {
  MembershipArguments& given;
  std::function<int()>& action;

  // A verb with --json.
  CLI::App* add(CLI::App& to, const char* name, const char* what, const char* examples, Verb run) {
    CLI::App* sub = to.add_subcommand(name, what);
    sub->footer(std::string("Examples:\n") + examples);
    sub->add_flag("--json", given.json, kJsonHelp);
    sub->callback([this_given = &given, this_action = &action, run] {
      *this_action = [this_given, run] { return run(*this_given); };
    });
    return sub;
  }
  void add_terms(CLI::App* sub, const char* uses_help) {
    sub->add_option("--ttl", given.ttl, kTtlHelp)->type_name("TIME");
    sub->add_option("--uses", given.uses, uses_help)
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
  }
};

void add_entering(CLI::App& cluster, Line& line) {
  CLI::App* sub =
      line.add(cluster, "init", "make a cluster, with this node as its first",
               "  om cluster init lab\n  om cluster init lab --ttl 1d --uses 20", cluster_init);
  sub->add_option("NAME", line.given.name, "of the cluster")->required()->type_name("");
  line.add_terms(sub, "how many machines may join with the token that is printed (default 100)");

  sub = line.add(cluster, "join", "join a cluster",
                 "  om cluster join lab.7f3k2m...\n"
                 "  om cluster join lab.7f3k2m... pc1\n"
                 "  om cluster join lab.7f3k2m... 192.168.7.1:4700\n"
                 "  om cluster join - pc1 < token",
                 cluster_join);
  sub->add_option("TOKEN", line.given.token, "from om cluster init or om token create; -: on stdin")
      ->required()
      ->type_name("");
  sub->add_option("ADDRESS", line.given.address,
                  "of a member: a name or an address, the port may be left out (4700); default: one is "
                  "looked for on the network")
      ->type_name("");

  sub = line.add(cluster, "leave", "bring processes home and leave the cluster",
                 "  om cluster leave\n  om cluster leave --force", cluster_leave);
  sub->add_flag("--force", line.given.force,
                "although processes do not come home, or nobody could sign any more");
}

void add_ruling(CLI::App& cluster, Line& line) {
  line.add(cluster, "status", "print what this node is in its cluster, and the members it knows",
           "  om cluster status\n  om cluster status --json", cluster_status);
  line.add(cluster, "renew", "get a new certificate for this node now", "  om cluster renew",
           cluster_renew);
  CLI::App* sub =
      line.add(cluster, "remove", "remove a node: nobody in the cluster believes it ever again",
               "  om cluster remove n7 --reason stolen", cluster_remove);
  sub->add_option("NODE", line.given.node, "its name, or its id (16 digits)")
      ->required()
      ->type_name("");
  sub->add_option("--reason", line.given.reason, "for om cluster status, at most 200 characters")
      ->type_name("TEXT");

  CLI::App* ca = cluster.add_subcommand("ca", "the cluster's CA: backup, and a second signer");
  ca->require_subcommand(1);
  sub = line.add(*ca, "export", "write the CA to a file, under a passphrase",
                 "  om cluster ca export ca.pem", cluster_ca_export);
  sub->add_option("FILE", line.given.file, "must not exist yet")->required()->type_name("");
  sub = line.add(*ca, "import", "make this member one that may sign",
                 "  om cluster ca import ca.pem", cluster_ca_import);
  sub->add_option("FILE", line.given.file, "from om cluster ca export")->required()->type_name("");
}

void add_tokens(CLI::App& app, Line& line) {
  CLI::App* token = app.add_subcommand("token", "the lines by which machines join the cluster");
  token->require_subcommand(1);
  CLI::App* sub = line.add(*token, "create", "make a token, and print it",
                           "  om token create\n  om token create --ttl 1d --uses 10", token_create);
  line.add_terms(sub, "how many machines may join with it (default 1)");
  line.add(*token, "list", "list the tokens of this machine",
           "  om token list\n  om token list --json", token_list);
  sub = line.add(*token, "revoke", "make a token worthless", "  om token revoke 7f3k2m5q",
                 token_revoke);
  sub->add_option("ID", line.given.id, "the first 8 characters after the dot, as in om token list")
      ->required()
      ->type_name("");
}

}  // namespace

void add_membership_verbs(CLI::App& app, CLI::App& cluster, MembershipArguments& given,
                          std::function<int()>& action) {
  Line line{given, action};
  add_entering(cluster, line);
  add_ruling(cluster, line);
  add_tokens(app, line);
}

}  // namespace om::cli
