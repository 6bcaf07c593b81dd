// SPDX-License-Identifier: Apache-2.0
//
// migrator/config/options.h and migrator/peers/peers_file.h.
#include "migrator/config/options.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "migrator/config/keys.h"
#include "migrator/peers/peers_file.h"
#include "test/unit/tls/place.h"

namespace om::migrator {
namespace {

std::vector<std::string> good() { return {"--name", "n1", "--control", "/tmp/x/c"}; }

Result<Options> parse_with(std::vector<std::string> more) {
  auto arguments = good();
  arguments.insert(arguments.end(), more.begin(), more.end());
  return parse_options(arguments);
}

TEST_CASE("defaults") {
  auto options = parse_options(good());
  REQUIRE(options.ok());
  CHECK(options->listen.text() == "127.0.0.1:0");
  CHECK(options->state_dir == "/tmp/x");
  CHECK(options->accept);
  CHECK_FALSE(options->insecure);
  CHECK_FALSE(options->root_may_leave);
  CHECK(options->wire == Wire::kSealed);
  CHECK(options->identity_dir.empty());
  CHECK(options->name_given);
  CHECK_FALSE(parse_options({"--control", "/tmp/x/c"})->name_given);
  CHECK(parse_with({"--identity", "/tmp/i"})->identity_dir == "/tmp/i");
  CHECK(parse_with({"--wire", "plain"})->wire == Wire::kPlain);
  CHECK(parse_with({"--root-may-leave"})->root_may_leave);
  CHECK(options->headroom_bytes == 64u << 20);
  CHECK(options->guest_limits(2).in_all == default_guest_limits(2).in_all);
  CHECK(options->guest_limits(2).of_home == default_guest_limits(2).of_home);
  CHECK(options->guest_limits(2).of_user == default_guest_limits(2).of_user);
}

TEST_CASE("both forms of a value, the last one counts") {
  auto options = parse_with({"--listen=127.0.0.2:77", "--accept", "never", "--name=n9"});
  REQUIRE(options.ok());
  CHECK(options->listen.port() == 77);
  CHECK_FALSE(options->accept);
  CHECK(options->name == "n9");
}

TEST_CASE("numbers of guests: what is given, the others according to the CPUs") {
  auto options = parse_with({"--max-guests", "300", "--max-guests-per-user=0"});
  REQUIRE(options.ok());
  const GuestLimits limits = options->guest_limits(2);
  CHECK(limits.in_all == 300);
  CHECK(limits.of_home == default_guest_limits(2).of_home);
  CHECK(limits.of_user == 0);
  CHECK(parse_with({"--max-guests-per-home", "5"})->guest_limits(2).of_home == 5);
}

TEST_CASE("mistakes are named") {
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"--nane", "x"},
                                             {"x"},
                                             {"--listen"},
                                             {"--listen", "local host"},
                                             {"--name", "N1"},
                                             {"--name", "home"},
                                             {"--accept", "maybe"},
                                             {"--wire", "open"},
                                             {"--ready-fd", "x"},
                                             {"--ready-fd", "-1"},
                                             {"--insecure=1"},
                                             {"--root-may-leave=yes"},
                                             {"--max-guests", "-1"},
                                             {"--max-guests-per-home", "many"},
                                             {"--max-guests-per-user", "1048577"},
                                             {"--guest-uids", "0-5"},
                                             {"--guest-uids", "7"},
                                             {"--guest-uids", "65000-65600"},
                                             {"--guest-uids", "9-8"},
                                             {"--guest-uids", "100000-200000"},
                                             {"--guest-user", "x", "--guest-uids", "5-6"},
                                             {"--guest-cpu", "much"},
                                             {"--guest-memory-mib", "-1"},
                                             {"--guests-threads", "x"},
                                             {"--netns-private", "10.0.0.1"},
                                             {"--config", "/nowhere/om.toml"}}) {
    CAPTURE(more.front());
    CHECK_FALSE(parse_with(more).ok());
  }
}

TEST_CASE("mistakes of the command line are one line") {
  struct Case {
    std::vector<std::string> more;
    const char* expected;
  };
  for (const Case& c :
       {Case{{"--nane", "x"}, "unknown argument \"--nane\""},
        Case{{"--memory-headroom-mib", "9"}, "unknown argument \"--memory-headroom-mib\""},
        Case{{"--max_guests", "9"}, "unknown argument \"--max_guests\""},
        Case{{"--listen"}, "--listen needs a value"},
        Case{{"--insecure=1"}, "--insecure takes no value"},
        Case{{"--accept", "maybe"}, "--accept: always or never"},
        Case{{"--wire", "open"}, "--wire: sealed or plain"},
        Case{{"--ready-fd", "x"}, "--ready-fd: a descriptor number"},
        Case{{"--max-guests", "-1"}, "--max-guests: a number from 0 to 1048576"},
        Case{{"--max-guests-per-home", "many"},
             "--max-guests-per-home: a number from 0 to 1048576"},
        Case{{"--name", "N1"}, "--name \"N1\": 1 to 63 of a-z, 0-9 and '-', and not \"home\""}}) {
    auto options = parse_with(c.more);
    REQUIRE_FALSE(options.ok());
    CHECK(options.error().text() == c.expected);
  }
}

TEST_CASE("everything the daemon can be told is in its help") {
  const std::string help = usage();
  for (const Key& key : key_table()) {
    CAPTURE(key.name);
    CHECK((key.in_options || key.in_file));
    if (key.in_options) CHECK(help.find("\n  " + option_of(key) + " ") != help.npos);
    if (key.in_options && key.form != Form::kFlag) CHECK_FALSE(key.argument.empty());
    if (key.in_file) CHECK(help.find(key.name) != help.npos);
    CHECK((find_key(key.name, Source::kOption) == &key) == key.in_options);
    CHECK((find_key(key.name, Source::kFile) == &key) == key.in_file);
  }
}

TEST_CASE("etcd") {
  const Place place;
  const auto file = [&](const char* name, const std::string& text, mode_t mode) {
    place.write(name, text);
    REQUIRE(::chmod(place.at(name).c_str(), mode) == 0);
    return place.at(name);
  };
  const std::string secret = file("secret", "pass word\n", 0600), open = file("open", "x\n", 0644),
                    empty = file("empty", "\n", 0600), lines = file("lines", "a\nb\n", 0600);
  const std::vector<std::string> by{"--membership", "etcd", "--etcd",
                                    "https://a:1,https://[::1]:2/"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), by.begin(), by.end());
    return parse_with(std::move(more));
  };
  const auto options = with({"--etcd-user", "om", "--etcd-password-file", secret, "--etcd-ca", open,
                             "--etcd-cert", open, "--etcd-key", secret});
  REQUIRE(options.ok());
  CHECK(options->membership == MembershipKind::kEtcd);
  CHECK(options->etcd == std::vector<std::string>{"https://a:1", "https://[::1]:2"});
  CHECK(options->etcd_password == "pass word");

  const auto wrong = [](const Result<Options>& parsed, const char* why) {
    CAPTURE(why);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().text().find(why) != std::string::npos);
    CHECK(parsed.error().text().find('\n') == std::string::npos);
  };
  wrong(parse_with({"--membership", "etcd"}), "needs etcd");
  wrong(parse_with({"--etcd", "https://a:1"}), "for membership \"etcd\" only");
  wrong(parse_with({"--etcd-user", "om"}), "for membership \"etcd\" only");
  for (const char* url : {"a:1", "https://a", "ftp://a:1", "https://a:1/v3", "https://u@a:1", "",
                          "https://:1", "https://a:"})
    CHECK_FALSE(parse_with({"--membership", "etcd", "--etcd", url}).ok());
  wrong(with({"--wire", "plain"}), "needs certificates");
  wrong(with({"--etcd-user", "om"}), "belong together");
  wrong(with({"--etcd-password-file", secret}), "belong together");
  wrong(with({"--etcd-cert", open}), "belong together");
  wrong(with({"--etcd-cert", open, "--etcd-key", open}), "may be read by other users");
  wrong(with({"--etcd-user", "om", "--etcd-password-file", open}), "may be read by other users");
  wrong(with({"--etcd-user", "om", "--etcd-password-file", empty}), "has no password");
  wrong(with({"--etcd-user", "om", "--etcd-password-file", lines}), "has no password");
  wrong(with({"--etcd-ca", place.at("none")}), "No such file");
  const std::vector<std::string> plain{"--membership",         "etcd", "--etcd-user", "om",
                                       "--etcd-password-file", secret};
  auto there = plain;
  there.insert(there.end(), {"--etcd", "http://10.0.0.1:1"});
  wrong(parse_with(there), "not sent in plain text");
  auto here = plain;
  here.insert(here.end(), {"--etcd", "http://127.0.0.1:1"});
  CHECK(parse_with(here).ok());
  here.insert(here.end(), {"--etcd-ca", open});
  wrong(parse_with(here), "for https");

  Options read;
  REQUIRE(apply_config(read, "membership = \"etcd\"\netcd = [\"http://e:1\"]\n", "f").ok());
  CHECK(read.etcd == std::vector<std::string>{"http://e:1"});
  CHECK_FALSE(apply_config(read, "etcd = \"http://e:1\"\n", "f").ok());
}

TEST_CASE("the configuration file") {
  Options options;
  const char* text =
      "name = \"rack1\"\nlisten = \"127.0.0.3:5\"\naccept = \"never\"\nmemory_headroom_mib = 9\n"
      "insecure = true\nguest_user = \"games\"\npeers = \"/etc/om/peers\"\nhide_cpu_features = "
      "[\"avx2\", \"rtm\"]\nlazy_shared = [\"/tmp/x*\"]\n"
      "guest_namespaces = \"require\"\nroot_may_leave = true\nmax_guests = 7\nmax_guests_per_home "
      "= 5\nmax_guests_per_user = 2\nwire = \"plain\"\nidentity = \"/tmp/i\"\n"
      "guest_cpu = \"idle\"\nguest_memory_mib = "
      "300\nguests_memory_mib = 900\nguest_threads = 40\nguests_threads = 100\nshow_commands = "
      "\"own\"\nmembership = \"off\"\nmulticast = \"on\"\nseeds = \"pc1, 10.0.0.1:5\"\n"
      "srv = \"search\"\nsweep = \"10.1.0.0/24\"\non_stop = \"drain\"\nports = \"4701-4703\"\n"
      "drain_limit_s = 5\nremote_control = \"node\"\nspeed = 9000\nload_scope = \"node\"\n";
  REQUIRE(apply_config(options, text, "f").ok());
  CHECK(options.membership == MembershipKind::kOff);
  CHECK(options.multicast == true);
  CHECK(options.seeds == std::vector<std::string>{"pc1", "10.0.0.1:5"});
  CHECK(options.srv == "");
  REQUIRE(options.sweep.size() == 1);
  CHECK(options.sweep[0].text() == "10.1.0.0/24");
  CHECK(options.name == "rack1");
  CHECK(options.listen_text == "127.0.0.3:5");
  CHECK_FALSE(options.accept);
  CHECK(options.insecure);
  CHECK(options.headroom_bytes == 9u << 20);
  CHECK(options.guest_user == "games");
  CHECK(options.peers_file == "/etc/om/peers");
  CHECK(options.hidden_cpu_features == std::vector<std::string>{"avx2", "rtm"});
  CHECK(options.root_may_leave);
  CHECK(options.wire == Wire::kPlain);
  CHECK(options.identity_dir == "/tmp/i");
  CHECK(options.guest_namespaces == proc::Isolation::kRequire);
  const GuestLimits limits = options.guest_limits(2);
  CHECK(limits.in_all == 7);
  CHECK(limits.of_home == 5);
  CHECK(limits.of_user == 2);
  CHECK(options.guest_resources.cpu == proc::CpuShare::kIdle);
  CHECK(options.guest_resources.memory_bytes == 300u << 20);
  CHECK(options.guest_resources.all_memory_bytes == 900u << 20);
  CHECK(options.guest_resources.threads == 40);
  CHECK(options.guest_resources.all_threads == 100);
  CHECK_FALSE(options.show_commands_to_all);
  CHECK(options.drain_on_stop);
  CHECK(options.remote_control);
  CHECK(options.ports == PortRange{4701, 4703});
  CHECK(options.drain_limit == std::chrono::seconds(5));
  CHECK(options.speed == 9000u);
  CHECK_FALSE(options.load_of_machine);
  REQUIRE(apply_config(options, "speed = \"auto\"\n", "f").ok());
  CHECK_FALSE(options.speed);
  REQUIRE(apply_config(options, "guest_uids = \"70000-70009\"\n", "f").ok());
  CHECK(options.guest_uids == proc::UserRange{70000, 70009});
  REQUIRE(options.lazy_shared);
  CHECK(*options.lazy_shared == std::vector<std::string>{"/tmp/x*"});
}

TEST_CASE("mistakes in the configuration file are named with their line") {
  struct Case {
    const char* text;
    const char* expected;
  };
  for (const Case& c :
       {Case{"name = \"a\"\ncolour = 1\n", "f:2: unknown key \"colour\""},
        Case{"\naccept = true\n", "f:2: accept must be a string"},
        Case{"accept = \"x\"\n", "f:1: accept must be \"always\" or \"never\""},
        Case{"insecure = \"no\"\n", "f:1: insecure must be true or false"},
        Case{"root_may_leave = 1\n", "f:1: root_may_leave must be true or false"},
        Case{"guest_namespaces = \"on\"\n",
             "f:1: guest_namespaces must be \"try\", \"require\" or \"off\""},
        Case{"speed = \"fast\"\n", "f:1: speed: auto, or a number from 10 to 655350"},
        Case{"load_scope = \"all\"\n", "f:1: load_scope must be \"machine\" or \"node\""},
        Case{"speed = 9\n", "f:1: speed: auto, or a number from 10 to 655350"},
        Case{"speed = true\n", "f:1: speed must be a number or a string"},
        Case{"wire = \"open\"\n", "f:1: wire must be \"sealed\" or \"plain\""},
        Case{"remote_control = \"user\"\n", "f:1: remote_control must be \"node\" or \"none\""},
        Case{"max_guests = -1\n", "f:1: max_guests is out of range"},
        Case{"max_guests_per_home = \"x\"\n", "f:1: max_guests_per_home must be a number"},
        Case{"max_guests_per_user = 1048577\n", "f:1: max_guests_per_user is out of range"},
        Case{"hide_cpu_features = \"avx2\"\n", "f:1: hide_cpu_features must be a list of strings"},
        Case{"hide_cpu_features = [1]\n", "f:1: hide_cpu_features must be a list of strings"},
        Case{"lazy_shared = [\"x\"]\n", "f:1: lazy_shared must have paths, without colons"},
        Case{"memory_headroom_mib = -1\n", "f:1: memory_headroom_mib is out of range"}}) {
    Options options;
    auto applied = apply_config(options, c.text, "f");
    REQUIRE_FALSE(applied.ok());
    CHECK(applied.error().text() == c.expected);
  }
  Options options;
  CHECK(apply_config(options, "name = \n", "f").error().text().compare(0, 4, "f:1:") == 0);
}

TEST_CASE("where a daemon may listen") {
  Options options;
  bool encrypted = false;
  auto allowed = [&](const char* address, bool in_namespace) {
    options.listen = *Address::parse(address);
    return check_listen(options, in_namespace, encrypted).ok();
  };
  CHECK(allowed("127.0.0.1", false));
  CHECK(allowed("::1", false));
  CHECK_FALSE(allowed("192.168.1.1", false));
  CHECK(check_listen(options, false, false).error().text().find("this node is in no cluster") !=
        std::string::npos);
  options.wire = Wire::kPlain;
  CHECK(check_listen(options, false, false).error().text().find("wire is \"plain\"") !=
        std::string::npos);
  CHECK_FALSE(allowed("0.0.0.0", false));
  encrypted = true;
  CHECK(allowed("192.168.1.1", false));
  CHECK(allowed("2001:db8::1", false));
  CHECK_FALSE(allowed("0.0.0.0", false));
  encrypted = false;
  options.private_subnet = *Subnet::parse("10.77.0.0/24");
  CHECK(allowed("10.77.0.1", true));
  CHECK_FALSE(allowed("10.77.0.1", false));
  CHECK_FALSE(allowed("10.78.0.1", true));
  options.insecure = true;
  CHECK(allowed("192.168.1.1", false));
  CHECK_FALSE(allowed("::", false));
}

TEST_CASE("the peers file") {
  auto peers = parse_peers("# all\n\nn1 127.0.0.1:1\n  n2\t127.0.0.2:2  # two\nn3 [::1]:3", "n1");
  REQUIRE(peers.ok());
  REQUIRE(peers->size() == 2);
  CHECK(peers->at(0).name == "n2");
  CHECK(peers->at(0).address.text() == "127.0.0.2:2");
  CHECK(peers->at(1).address.text() == "[::1]:3");
  CHECK(parse_peers("", "n1")->empty());
}

TEST_CASE("names of peers are looked up by who is asked to, the node's own is not") {
  auto look_up = [](std::string_view text, uint16_t port) {
    return text == "two:2" ? Address::parse("127.0.0.2:2", port) : Address::parse(text, port);
  };
  auto peers = parse_peers("n1 one:1\nn2 two:2\n", "n1", look_up);
  REQUIRE(peers.ok());
  REQUIRE(peers->size() == 1);
  CHECK(peers->at(0).address.text() == "127.0.0.2:2");
  CHECK_FALSE(parse_peers("n1 one:1\nn2 two:2\n", "n1").ok());
  CHECK_FALSE(parse_peers("n3 three:3\n", "n1", look_up).ok());
}

TEST_CASE("mistakes in the peers file are named with their line") {
  for (const char* line : {"n2", "n2 127.0.0.2:2 extra", "N2 127.0.0.2:2", "n2 host:2",
                           "n2 127.0.0.2", "home 127.0.0.2:2", "n2 0.0.0.0:2", "n3 127.0.0.9:9"}) {
    CAPTURE(line);
    auto peers = parse_peers(std::string("n3 127.0.0.3:3\n") + line + "\n", "n1");
    REQUIRE_FALSE(peers.ok());
    CHECK(peers.error().text().compare(0, 7, "line 2:") == 0);
  }
}

TEST_CASE("peers from the control socket are checked alike") {
  CHECK(peers_from_json(Json::parse(R"([{"name":"n2","address":"127.0.0.2:2"}])"), "n1")->size() ==
        1);
  CHECK(peers_from_json(Json::parse(R"([{"name":"n1","address":"127.0.0.2:2"}])"), "n1")->empty());
  for (const char* text :
       {"{}", "null", "[1]", R"([{"name":"n2"}])", R"([{"name":"n2","address":"x"}])"}) {
    CAPTURE(text);
    CHECK_FALSE(peers_from_json(Json::parse(text), "n1").ok());
  }
}

}  // namespace
}  // namespace om::migrator
