// SPDX-License-Identifier: Apache-2.0
//
// The pure parts of om: splitting the command line, the job's environment, cluster names and state, tables,
// reasons, and the doctor's judgements.
#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cluster_daemons.h"
#include "cli/cluster_netns.h"
#include "cli/cluster_state.h"
#include "cli/command_line.h"
#include "cli/doctor_checks.h"
#include "cli/doctor_probes.h"
#include "cli/output.h"
#include "cli/reason_list.h"
#include "cli/run_environment.h"
#include "common/base/names.h"

namespace om::cli {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("times are numbers with a unit") {
  using std::chrono::seconds;
  CHECK(parse_duration("90s") == seconds(90));
  CHECK(parse_duration("30m") == seconds(1800));
  CHECK(parse_duration("12h") == seconds(43200));
  CHECK(parse_duration("7d") == seconds(604800));
  for (const char* wrong :
       {"", "s", "0s", "-1h", "1", "1w", "1.5h", "h1", "99999999999999999999s", "4000d"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_duration(wrong).has_value());
  }
  CHECK(duration_text(seconds(90)) == "90s");
  CHECK(duration_text(seconds(5400)) == "90m");
  CHECK(duration_text(seconds(3600)) == "1h");
  CHECK(duration_text(seconds(172800)) == "2d");
}

TEST_CASE("the job's arguments are the job's") {
  struct Case {
    Words given, own, command;
  };
  for (const Case& c : {
           Case{{"run", "./job", "--json"}, {"run"}, {"./job", "--json"}},
           Case{{"run", "--", "-x", "--"}, {"run"}, {"-x", "--"}},
           Case{{"run", "--cpu", "x86-64-v3", "a", "--cpu", "b"},
                {"run", "--cpu", "x86-64-v3"},
                {"a", "--cpu", "b"}},
           Case{{"run", "--cpu=host", "--", "a"}, {"run", "--cpu=host"}, {"a"}},
           Case{{"run", "--help"}, {"run", "--help"}, {}},
           Case{{"run"}, {"run"}, {}},
           Case{{"run", "--cpu"}, {"run", "--cpu"}, {}},
           Case{{"run", "-"}, {"run"}, {"-"}},
           Case{{"check", "--json", "ls", "-l"}, {"check", "--json"}, {"ls", "-l"}},
           Case{{"migrate", "5", "--", "n2"}, {"migrate", "5", "--", "n2"}, {}},
           Case{{}, {}, {}},
       }) {
    SplitArguments split = split_arguments(c.given);
    CHECK(split.own == c.own);
    CHECK(split.command == c.command);
  }
}

TEST_CASE("libom goes behind what is preloaded already, once") {
  Environment environment;
  REQUIRE(add_preload(environment, "/x/libom.so").ok());
  CHECK(environment["LD_PRELOAD"] == "/x/libom.so");
  REQUIRE(add_preload(environment, "/x/libom.so").ok());
  CHECK(environment["LD_PRELOAD"] == "/x/libom.so");
  environment["LD_PRELOAD"] = "/lib/a.so /lib/b.so";
  REQUIRE(add_preload(environment, "/x/libom.so").ok());
  CHECK(environment["LD_PRELOAD"] == "/lib/a.so /lib/b.so:/x/libom.so");
  REQUIRE(add_preload(environment, "/x/libom.so").ok());
  CHECK(environment["LD_PRELOAD"] == "/lib/a.so /lib/b.so:/x/libom.so");
  CHECK_FALSE(add_preload(environment, "/with blank/libom.so").ok());
  CHECK_FALSE(add_preload(environment, "/a:b/libom.so").ok());
}

TEST_CASE(
    "gcc's address sanitizer is told to run behind libom, unless the user says something else") {
  Environment environment;
  add_sanitizer_options(environment);
  CHECK(environment["ASAN_OPTIONS"] == "verify_asan_link_order=0");
  environment["ASAN_OPTIONS"] = "detect_leaks=0";
  add_sanitizer_options(environment);
  add_sanitizer_options(environment);
  CHECK(environment["ASAN_OPTIONS"] == "detect_leaks=0:verify_asan_link_order=0");
  environment["ASAN_OPTIONS"] = "verify_asan_link_order=1";
  add_sanitizer_options(environment);
  CHECK(environment["ASAN_OPTIONS"] == "verify_asan_link_order=1");
}

TEST_CASE("a baseline joins the tunables that are set") {
  Environment environment{{"GLIBC_TUNABLES", "glibc.malloc.check=3"}, {"LD_BIND_NOW", ""}};
  add_baseline(environment, *find_cpu_baseline("x86-64-v4"));
  CHECK(environment["GLIBC_TUNABLES"] == "glibc.malloc.check=3:glibc.cpu.hwcaps=-RTM");
  CHECK(environment["LD_BIND_NOW"] == "1");
  CHECK(environment[kCpuBaselineVariable] == "x86-64-v4");
}

TEST_CASE("names of namespaces come from the directory and fit") {
  std::string one = cluster_tag("/tmp/a");
  std::string two = cluster_tag("/tmp/b");
  CHECK(one != two);
  CHECK(one == cluster_tag("/tmp/a"));
  CHECK(one.size() == 8);
  CHECK(namespace_name(one, "n1") == "om-" + one + "-n1");
  CHECK(namespace_address(64) == "10.77.0.64");
}

TEST_CASE("a control socket moves out of a directory with a long name") {
  ClusterState state;
  state.dir = "/tmp/c";
  CHECK(control_path_in(state, "n1") == "/tmp/c/n1/control.sock");
  state.dir = "/tmp/" + std::string(120, 'x');
  std::string path = control_path_in(state, "n1");
  CHECK(path.size() <= kMaxControlPath);
  CHECK(path == socket_dir(state.dir) + "/n1.sock");
}

struct Directory {
  std::string path = "/tmp/om-test-XXXXXX";
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
};

TEST_CASE("the state of a cluster is saved and loaded") {
  Directory directory;
  const OwnDirectory own = OwnDirectory::open(directory.path).value();
  const std::string tag = cluster_tag(directory.path);
  CHECK(load_cluster(own).error().err == ENOENT);
  ClusterState state;
  state.dir = directory.path;
  state.made_dir = true;
  state.switch_namespace = namespace_name(tag, "sw");
  state.nodes = {{"n1", "127.0.0.1:5", "/c/1", namespace_name(tag, "n1"), ProcessId{5, 77}},
                 {"n2", "", "/c/2", "", std::nullopt}};
  REQUIRE(save_cluster(own, state).ok());
  auto back = load_cluster(own);
  REQUIRE(back.ok());
  CHECK(back->made_dir);
  CHECK(back->switch_namespace == namespace_name(tag, "sw"));
  REQUIRE(back->nodes.size() == 2);
  CHECK(back->nodes[0].daemon == ProcessId{5, 77});
  CHECK_FALSE(back->nodes[1].daemon);
  const std::string deep = "{\"made_dir\":true,\"nodes\":" + std::string(1 << 20, '[');
  const std::string foreign = R"({"made_dir":true,"switch_namespace":"other","nodes":[]})";
  const std::string no_nodes = R"({"made_dir":true,"switch_namespace":""})";
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), no_nodes, deep, foreign}) {
    std::ofstream(state_file(directory.path)) << text << "\n";
    CHECK_FALSE(load_cluster(own).ok());
  }
}

TEST_CASE("only one works on a cluster at a time") {
  Directory directory;
  {
    const OwnDirectory first = OwnDirectory::open(directory.path).value();
    REQUIRE(lock_cluster(first).ok());
    CHECK_FALSE(lock_cluster(OwnDirectory::open(directory.path).value()).ok());
  }
  CHECK(lock_cluster(OwnDirectory::open(directory.path).value()).ok());
}

pid_t start_sleeper(bool stubborn) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t pid = ::fork();
  if (pid == 0) {
    if (stubborn) ::signal(SIGTERM, SIG_IGN);
    ssize_t ignored = ::write(write_end.get(), "x", 1);
    static_cast<void>(ignored);
    for (;;) ::pause();
  }
  char ready = 0;
  REQUIRE(::read(read_end.get(), &ready, 1) == 1);
  return pid;
}

TEST_CASE("exactly the named processes are ended, stubborn ones by force") {
  pid_t mild = start_sleeper(false);
  pid_t stubborn = start_sleeper(true);
  pid_t bystander = start_sleeper(false);
  ProcessId recycled = *ProcessId::of(bystander);
  recycled.start_ticks += 1;
  auto left =
      end_processes({*ProcessId::of(mild), *ProcessId::of(stubborn), recycled}, Milliseconds(100));
  CHECK(left.empty());
  CHECK(::kill(mild, 0) != 0);
  CHECK(::kill(stubborn, 0) != 0);
  CHECK(::kill(bystander, 0) == 0);
  ::kill(bystander, SIGKILL);
  ::waitpid(bystander, nullptr, 0);
}

TEST_CASE("tools report what they say on stderr") {
  CHECK(run_tool({"true"}).ok());
  CHECK(run_tool({"sh", "-c", "echo first >&2; echo second >&2; exit 3"}).error().text() ==
        "sh -c echo first >&2; echo second >&2; exit 3: first");
  CHECK(run_tool({"om-no-such-tool"}).error().err == ENOENT);
}

TEST_CASE("tables are aligned, cut and harmless") {
  std::vector<std::vector<std::string>> rows{{">N", "NAME"}, {"5", "abc"}, {"100", "d"}};
  CHECK(format_table(rows, 0, false) == "  N  NAME\n  5  abc\n100  d\n");
  CHECK(format_table(rows, 6, false) == "  N  N\n  5  a\n100  d\n");
  CHECK(format_table({{"A"}}, 0, true) == "\x1b[1mA\x1b[0m\n");
  CHECK(harmless("a\x1b[31m\nb\x7f") == "a?[31m?b?");
  CHECK(harmless("\u00e4\u20ac\U0001f600") == "\u00e4\u20ac\U0001f600");
  CHECK(harmless("a\u009b31m") == "a?31m");               // CSI in one character
  CHECK(harmless("\u202egpj.exe\u202c") == "?gpj.exe?");  // changes the direction
  CHECK(harmless("\u2066a\u2069\u200f\u061c\u2028") == "?a????");
  // Not UTF-8: stray bytes, truncated characters, overlong forms, surrogates, beyond the last character.
  CHECK(harmless("\x9b"
                 "31m") == "?31m");
  CHECK(harmless("\xe2\x82") == "??");
  CHECK(harmless("\xc2\x1b") == "??");
  CHECK(harmless("\xc0\x9b") == "??");
  CHECK(harmless("\xe0\x82\x9b") == "???");
  CHECK(harmless("\xed\xa0\x80") == "???");
  CHECK(harmless("\xf4\x90\x80\x80") == "????");
  CHECK(human_bytes(1023) == "1023B");
  CHECK(human_bytes(3 << 20) == "3.0M");
}

TEST_CASE("reasons have a message and a remedy") {
  auto texts =
      reason_texts({Reason{ReasonCode::kStaticBinary, ""}, Reason{ReasonCode::kNotPreloaded, ""}});
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].code == "STATIC_BINARY");
  Json json = reasons_json(texts);
  CHECK(json["can_move"] == false);
  CHECK(json["reasons"][1]["code"] == "NOT_PRELOADED");
  CHECK_FALSE(json["reasons"][0]["remedy"].get<std::string>().empty());
  CHECK(reasons_json({})["can_move"] == true);
  CHECK(reason_text("HOME_MEMORY", "x").remedy != "");
  CHECK(reason_text("SOMETHING", "x").remedy == "");
}

TEST_CASE("a wrong verb has a nearest one, if it is near") {
  const std::vector<std::string> verbs{"run", "migrate", "ps", "where", "why", "events"};
  for (auto [given, want] : std::initializer_list<std::pair<const char*, const char*>>{
           {"mig", "migrate"},
           {"migrat", "migrate"},
           {"migrtae", "migrate"},
           {"evnets", "events"},
           {"rnu", "run"},
           {"wy", "why"},
           {"sp", "ps"},
           {"top", ""},
           {"x", ""},
           {"", ""},
           {"transmogrification-of-everything-now", ""}}) {
    CAPTURE(given);
    CHECK(nearest_word(given, verbs) == want);
  }
}

TEST_CASE("process numbers") {
  CHECK(complaint_about_pid("4711").empty());
  CHECK(complaint_about_pid("4194304").empty());
  for (const char* text : {"abc", "0", "-5", "4194305", "47x", "", "99999999999999999999"})
    CHECK(complaint_about_pid(text) == std::string(text) + " is no process number");
}

TEST_CASE("the doctor's judgements") {
  CHECK(judge_kernel("6.18.44-x").health == Health::kOk);
  CHECK(judge_kernel("6.1.0-13-amd64").health == Health::kOk);
  CHECK(judge_kernel("5.15.0").health == Health::kWarn);
  CHECK(judge_kernel("5.4.0").health == Health::kFail);
  CHECK(judge_kernel("strange").health == Health::kFail);
  CHECK(judge_tracing("", 0).health == Health::kOk);
  CHECK(judge_tracing("1", 0).health == Health::kOk);
  CHECK(judge_tracing("2", EPERM).health == Health::kFail);
  CHECK(judge_tracing("2", 0).health == Health::kWarn);
  CHECK(judge_tracing("3", EPERM).health == Health::kFail);
  CHECK(judge_tracing("0", EPERM).health == Health::kFail);
  CHECK(judge_seccomp(0).health == Health::kOk);
  CHECK(judge_seccomp(EINVAL).health == Health::kFail);
  CHECK(judge_glibc("2.36").health == Health::kOk);
  CHECK(judge_glibc("2.31").health == Health::kWarn);
}

// Exit status of a child that runs `probe` while `forbidden` is blocked.
int probe_without(long forbidden, int (*probe)()) {
  std::array<sock_filter, 4> code{
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(forbidden), 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(255);
    _exit(probe());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("the doctor's probes find out what is forbidden") {
  if (probe_without(SYS_getpgid, [] { return 0; }) == 255) {
    MESSAGE("skip: no seccomp filters");
    return;
  }
  CHECK(probe_without(SYS_seccomp, probe_filter) == EXDEV);
  CHECK(probe_without(SYS_ptrace, probe_tracing) == EXDEV);
  CHECK(probe_without(SYS_arch_prctl, probe_registers) == EXDEV);
  CHECK(probe_without(SYS_unshare, [] { return probe_unshare(0); }) == EXDEV);
}

TEST_CASE("every machine check gives a sentence and, unless all is well, a remedy") {
  for (const Finding& finding : check_machine()) {
    CAPTURE(finding.check);
    CHECK_FALSE(finding.detail.empty());
    CHECK((finding.health == Health::kOk) == finding.remedy.empty());
  }
}

}  // namespace
}  // namespace om::cli
