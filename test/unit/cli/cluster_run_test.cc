// SPDX-License-Identifier: Apache-2.0
//
// The pure parts of om cluster run: hosts and their names, what they say, versions of glibc, lists of libraries.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/glibc.h"
#include "cli/run_facts.h"
#include "cli/run_hosts.h"
#include "cli/run_programs.h"
#include "cli/spawned.h"
#include "common/base/names.h"

namespace om::cli {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("the command of om cluster run is split off") {
  const SplitArguments split = split_arguments({"cluster", "run", "--hosts", "a,b", "--launcher",
                                                "x y", "--slurm", "./job", "--hosts", "z"});
  CHECK(split.own == Words{"cluster", "run", "--hosts", "a,b", "--launcher", "x y", "--slurm"});
  CHECK(split.command == Words{"./job", "--hosts", "z"});
  CHECK(split_arguments({"cluster", "run", "--hosts=a", "--", "--odd"}).command == Words{"--odd"});
  CHECK(split_arguments({"cluster", "dev", "stop", "--", "x"}).command.empty());
}

TEST_CASE("a host's node has a valid name of its own") {
  CHECK(node_name_of("ann@PC2.example.org") == "pc2");
  CHECK(node_name_of("10.1.2.3") == "n10-1-2-3");
  CHECK(node_name_of("fe80::1") == "nfe80--1");
  CHECK(node_name_of("_x_") == "x");
  for (const std::string& host : {std::string("home"), std::string("..."), std::string("@"),
                                  std::string("-"), std::string(200, 'a'), std::string("\xff\xfe")})
    CHECK(valid_node_name(node_name_of(host)));
  const auto hosts = launched_hosts({"a@pc", "b@pc", "pc.example.org", "me"}, "", "me");
  Words names;
  for (const RunHost& host : hosts) names.push_back(host.node);
  CHECK(names == Words{"pc", "pc-2", "pc-3", "me-2"});
  CHECK(hosts.front().command == Words{"ssh", "-o", "BatchMode=yes", "-o",
                                       "ClearAllForwardings=yes", "-T", "-x", "-a", "--", "a@pc",
                                       "/bin/sh"});
  CHECK(launched_hosts({"box"}, " docker  exec -i ", "me").front().command ==
        Words{"docker", "exec", "-i", "box", "/bin/sh"});
}

TEST_CASE("lists of hosts") {
  CHECK(parse_hosts("a, u@b.c,[::1],10.0.0.1").value_or({}) ==
        Words{"a", "u@b.c", "[::1]", "10.0.0.1"});
  std::string many = "h0";
  for (size_t i = 1; i <= kMaxHosts; ++i) many += ",h" + std::to_string(i);
  for (const std::string& wrong :
       {std::string(""), std::string("a,"), std::string("-oProxyCommand=x"), std::string("a b"),
        std::string("a,a"), std::string("$(x)"), many})
    CHECK_FALSE(parse_hosts(wrong).ok());
}

TEST_CASE("versions of glibc") {
  CHECK(glibc_version("glibc 2.36") == 2036);
  CHECK(glibc_version("glibc 2.36-9+deb12u14") == 2036);
  for (const char* other : {"", "musl 1.2", "glibc 3.1", "glibc 2.", "glibc 2.99999"})
    CHECK(glibc_version(other) == 0);
  CHECK(glibc_text(2036) == "2.36");
  using namespace std::string_view_literals;
  CHECK(glibc_needed("\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.2.5\0"sv) == 2034);
  CHECK(glibc_needed("\0GLIBC_2.\0GLIBC_2.9999\0GLIBC_PRIVATE\0GLIBC_2.40"sv) == 0);
}

TEST_CASE("libraries of a program, as ld.so lists them") {
  auto paths = parse_libraries(
      "\tlinux-vdso.so.1 (0x00007ffe8a9f2000)\n\tlibfmt.so.9 => /lib/libfmt.so.9 "
      "(0x00007f0000000000)\n"
      "\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibcrypto.so.3 => /lib/libcrypto.so.3 (0x1)\n"
      "\t/lib64/ld-linux-x86-64.so.2 (0x1)\n");
  CHECK(std::move(paths).value_or({}) == Words{"/lib/libfmt.so.9", "/lib/libcrypto.so.3"});
  CHECK_FALSE(parse_libraries("\tlibfmt.so.9 => not found\n").ok());
}

TEST_CASE("what a host says is checked") {
  HostFacts facts;
  for (const char* line :
       {"Welcome", "fail to notice", "om-host 1", "arch x86_64", "libc glibc 2.36",
        "ssh 10.1.2.1 1 10.1.2.3 22", "boot 1-2", "net net:[4]", "dir /tmp/om-run.x"})
    CHECK_MESSAGE(take_fact(facts, line).ok(), line);
  CHECK_FALSE(take_fact(facts, "program om abc").ok());
  CHECK(take_fact(facts, "program om " + std::string(64, 'a')).ok());
  CHECK_FALSE(facts.ready);
  CHECK(take_fact(facts, "ready").ok());
  CHECK(facts.ready);
  CHECK(facts.own_address == "10.1.2.3");
  CHECK(facts.glibc == 2036);
  CHECK_FALSE(take_fact(facts, "arch x86_64").ok());
  HostFacts other;
  CHECK(take_fact(other, "om-host 1").ok());
  CHECK_FALSE(take_fact(other, "ready").ok());  // no directory
  CHECK_FALSE(take_fact(other, "dir relative").ok());
  CHECK(take_fact(other, "fail it is full").error().text() == "it is full");
}

TEST_CASE("lines to and from a program") {
  auto started = Spawned::start({"sh", "-c", "read x; echo got $x; echo why >&2; exit 3"}, -1);
  REQUIRE(started.ok());
  REQUIRE(started->send("hello\n", Milliseconds(10000)).ok());
  CHECK(started->line(Milliseconds(10000)).value_or("") == "got hello");
  const auto ended = started->line(Milliseconds(10000));
  REQUIRE_FALSE(ended.ok());
  CHECK(ended.error().text() == "why");
  auto endless = Spawned::start({"sh", "-c", "while :; do printf xxxxxxxxxxxxxxxx; done"}, -1);
  REQUIRE(endless.ok());
  CHECK_FALSE(endless->line(Milliseconds(10000)).ok());
  auto silent = Spawned::start({"cat"}, -1);
  REQUIRE(silent.ok());
  CHECK_FALSE(silent->line(Milliseconds(1)).ok());
  CHECK_FALSE(Spawned::start({"/no/such/program"}, -1).ok());
  CHECK(output_of({"echo", "x"}, Milliseconds(10000)).value_or("") == "x\n");
  CHECK_FALSE(output_of({"false"}, Milliseconds(10000)).ok());
}

}  // namespace
}  // namespace om::cli
