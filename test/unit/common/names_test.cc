// SPDX-License-Identifier: Apache-2.0
//
// common/base/names.h, common/net/address.h, common/base/log.h, common/base/version.h and common/cpu/cpu_baseline.h.
#include "common/base/names.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/cpu/cpu_baseline.h"
#include "common/net/address.h"
#include "common/net/ports.h"

namespace om {
namespace {

// Sets an environment variable for one test; nullptr removes it.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    const char* old = ::getenv(name);
    had_ = old != nullptr;
    if (had_) old_ = old;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Variable() { had_ ? ::setenv(name_, old_.c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  bool had_ = false;
  std::string old_;
};

TEST_CASE("node names") {
  for (const char* name : {"n1", "a", "rack-7-left", "0"}) CHECK(valid_node_name(name));
  CHECK(valid_node_name(std::string(63, 'x')));
  for (const char* name : {"", "home", "N1", "a.b", "a b", "-a", "a-", "a\n", "ä", "../x"}) {
    CAPTURE(name);
    CHECK_FALSE(valid_node_name(name));
  }
  CHECK_FALSE(valid_node_name(std::string(64, 'x')));
}

TEST_CASE("node names from host names") {
  CHECK(node_name_from_host("Lab-7.example.org") == "lab-7");
  CHECK(node_name_from_host("my_host") == "my-host");
  CHECK(node_name_from_host("-x-") == "x");
  CHECK(node_name_from_host("") == "node");
  CHECK(node_name_from_host("home") == "node");
}

TEST_CASE("where the control socket is") {
  CHECK(default_control_path(0) == "/run/om/control.sock");
  {
    Variable runtime("XDG_RUNTIME_DIR", "/run/user/7");
    CHECK(default_control_path(7) == "/run/user/7/om/control.sock");
  }
  {
    Variable runtime("XDG_RUNTIME_DIR", nullptr);
    CHECK(default_control_path(7) == "/tmp/om-7/control.sock");
  }
  Variable named("OM_CONTROL", "/some/where");
  CHECK(client_control_path() == "/some/where");
}

TEST_CASE("a directory that somebody else could use is not this user's") {
  char base[] = "/tmp/om-names-test-XXXXXX";
  REQUIRE(mkdtemp(base) != nullptr);
  const uid_t uid = geteuid();
  const std::string usual = std::string(base) + "/om-" + std::to_string(uid);
  auto make = [](const std::string& path, mode_t mode) {
    REQUIRE(mkdir(path.c_str(), 0700) == 0);
    REQUIRE(chmod(path.c_str(), mode) == 0);
  };
  CHECK(user_directory(base, uid) == usual);
  make(usual, 0777);
  CHECK(user_directory(base, uid) == usual);
  make(usual + ".aaaaaa", 0770);
  make(usual + ".bbbbbb", 0700);
  CHECK(user_directory(base, uid) == usual + ".bbbbbb");
  make(usual + "0", 0700);  // another user's
  REQUIRE(chmod(usual.c_str(), 0700) == 0);
  CHECK(user_directory(base, uid) == usual);
  const std::string socket = usual + ".bbbbbb/control.sock";
  close(open(socket.c_str(), O_CREAT | O_CLOEXEC, 0600));
  CHECK(user_directory(base, uid) == usual + ".bbbbbb");
  unlink(socket.c_str());
  for (const char* end : {".aaaaaa", ".bbbbbb", "0", ""}) rmdir((usual + end).c_str());
  REQUIRE(symlink("/tmp", usual.c_str()) == 0);
  CHECK(user_directory(base, uid + 1) == std::string(base) + "/om-" + std::to_string(uid + 1));
  unlink(usual.c_str());
  rmdir(base);
}

TEST_CASE("OM_LIBEXEC and OM_PRELOAD are looked at first") {
  Variable libexec("OM_LIBEXEC", "/bin");
  CHECK(find_program("sh").ok());
  CHECK(find_program("om-there-is-no-such-program").error().err == ENOENT);
  Variable preload("OM_PRELOAD", "/nowhere/libom.so");
  CHECK(find_preload_library().error().err == ENOENT);
}

TEST_CASE("shell quoting") {
  CHECK(shell_quoted("a b") == "'a b'");
  CHECK(shell_quoted("it's") == "'it'\\''s'");
  CHECK(shell_quoted("") == "''");
}

TEST_CASE("addresses are numeric") {
  CHECK(Address::parse("127.0.0.1:80")->text() == "127.0.0.1:80");
  CHECK(Address::parse("127.0.0.1", 9)->port() == 9);
  CHECK(Address::parse("[::1]:80")->text() == "[::1]:80");
  CHECK(Address::parse("::1")->host() == "::1");
  CHECK(Address::parse("[::1]")->port() == 0);
  for (const char* text : {"", "localhost", "1.2.3", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1",
                           "[::1", "[::1]80", "[1.2.3.4]:5", "1.2.3.4:5x", ":80", "1.2.3.4 :5"}) {
    CAPTURE(text);
    CHECK_FALSE(Address::parse(text).ok());
  }
}

TEST_CASE("names are looked up on demand only") {
  for (const char* text :
       {"pc1", "pc1:4700", "Lab-7.example.org", "localhost:1", "10.0.0.1:5", "::1"})
    CHECK(Address::could_be(text));
  for (const char* text : {"", ":5", "pc1:", "pc1:x", "pc1:65536", "pc 1", "pc1/2", "1.2.3",
                           "1.2.3.4.5", "-pc1", ".pc1", "pc1:4:5", "pc_1"}) {
    CAPTURE(text);
    CHECK_FALSE(Address::could_be(text));
    CHECK_FALSE(Address::look_up(text).ok());
  }
  CHECK(Address::look_up("127.0.0.1:80")->text() == "127.0.0.1:80");
  CHECK(Address::look_up("[::1]")->port() == 0);
  auto local = Address::look_up("localhost:80", 9);
  if (!local) {
    MESSAGE("skip: the resolver does not know localhost: " << local.error().text());
    return;
  }
  CHECK(local->is_loopback());
  CHECK(local->port() == 80);
  CHECK(Address::look_up("localhost", 9)->port() == 9);
}

TEST_CASE("loopback, any, same host") {
  CHECK(Address::parse("127.9.9.9")->is_loopback());
  CHECK(Address::parse("::1")->is_loopback());
  CHECK_FALSE(Address::parse("128.0.0.1")->is_loopback());
  CHECK_FALSE(Address::parse("0.0.0.0")->is_loopback());
  CHECK(Address::parse("0.0.0.0")->is_any());
  CHECK(Address::parse("::")->is_any());
  CHECK(Address::parse("10.0.0.1:1")->same_host(*Address::parse("10.0.0.1:2")));
  CHECK_FALSE(Address::parse("10.0.0.1")->same_host(*Address::parse("10.0.0.2")));
  CHECK_FALSE(Address::parse("::1")->same_host(*Address::parse("127.0.0.1")));
}

TEST_CASE("subnets") {
  Subnet subnet = *Subnet::parse("10.77.0.0/24");
  CHECK(subnet.contains(*Address::parse("10.77.0.9")));
  CHECK_FALSE(subnet.contains(*Address::parse("10.77.1.9")));
  CHECK_FALSE(subnet.contains(*Address::parse("::1")));
  CHECK(subnet.text() == "10.77.0.0/24");
  CHECK(Subnet::parse("0.0.0.0/0")->contains(*Address::parse("9.9.9.9")));
  CHECK(Subnet::parse("9.9.9.9/32")->contains(*Address::parse("9.9.9.9")));
  for (const char* text : {"10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "x/8", "10.0.0.0/"}) {
    CAPTURE(text);
    CHECK_FALSE(Subnet::parse(text).ok());
  }
}

TEST_CASE("ranges of ports") {
  CHECK(PortRange::parse("4701-4799").value() == PortRange{4701, 4799});
  CHECK(PortRange::parse("4701-4799")->size() == 99);
  CHECK(PortRange::parse("65535").value() == PortRange{65535, 65535});
  CHECK(PortRange::parse("65535")->text() == "65535");
  CHECK(PortRange{}.is_any());
  for (const char* bad : {"", "-", "0", "0-5", "5-4", "1-65536", "1-2-3", "a-b", "1 - 2", "-1"})
    CHECK_FALSE(PortRange::parse(bad).ok());
}

TEST_CASE("OM_LOG") {
  LogFilter filter = *LogFilter::parse("warn,control:debug");
  CHECK(filter.enabled("control", LogLevel::kDebug));
  CHECK(filter.enabled("peer", LogLevel::kWarn));
  CHECK_FALSE(filter.enabled("peer", LogLevel::kInfo));
  CHECK_FALSE(LogFilter::parse("")->enabled("x", LogLevel::kDebug));
  CHECK(LogFilter::parse("")->enabled("x", LogLevel::kInfo));
  CHECK_FALSE(LogFilter::parse("a:debug,a:error")->enabled("a", LogLevel::kWarn));
  CHECK_FALSE(LogFilter::parse("loud").ok());
  CHECK_FALSE(LogFilter::parse(":debug").ok());
  CHECK_FALSE(LogFilter::parse("a:").ok());
}

TEST_CASE("foreign text is escaped and cut") {
  CHECK(escaped("a\"b\\\n\x1b[0m\xc3\xa4") == R"("a\"b\\\x0a\x1b[0m\xc3\xa4")");
  CHECK(escaped("abcdef", 3) == "\"abc\"...");
}

TEST_CASE("a keeper serves its own interface and the one before") {
  CHECK(keeper_serves_gate_abi(kKeeperGateAbi));
  CHECK_FALSE(keeper_serves_gate_abi(kKeeperGateAbi + 1));
  CHECK_FALSE(keeper_serves_gate_abi(0));
  CHECK(protocol_major(kProtocol) == kProtocolMajor);
}

TEST_CASE("CPU baselines contain each other") {
  const CpuBaseline* v2 = find_cpu_baseline("x86-64-v2");
  const CpuBaseline* v3 = find_cpu_baseline("x86-64-v3");
  const CpuBaseline* v4 = find_cpu_baseline("x86-64-v4");
  REQUIRE(v2 != nullptr);
  REQUIRE(v3 != nullptr);
  REQUIRE(v4 != nullptr);
  CHECK(find_cpu_baseline("host") == nullptr);
  CHECK(restrict_features(v3->features, *v2) == v2->features);
  CHECK(restrict_features(v3->features, *v4) == v3->features);
  CHECK(restrict_features({"avx512f", "avx2", "sse2", "sha_ni"}, *v3) ==
        std::vector<std::string>{"avx2", "sse2"});
  auto value = [](const CpuBaseline* baseline, const char* name) {
    for (auto& [key, text] : baseline->environment) {
      if (key == name) return text;
    }
    return std::string();
  };
  CHECK(value(v4, "GLIBC_TUNABLES") == "glibc.cpu.hwcaps=-RTM");
  CHECK(value(v3, "GLIBC_TUNABLES").find("-AVX512F") != std::string::npos);
  CHECK(value(v3, "GLIBC_TUNABLES").find("-AVX2") == std::string::npos);
  CHECK(value(v2, "GLIBC_TUNABLES").find("-AVX2") != std::string::npos);
  // Bit 29 of the second word is SHA-NI, bit 5 AVX2.
  CHECK(value(v3, "OPENSSL_ia32cap").find(":~0x") != std::string::npos);
  CHECK(value(v2, "LD_BIND_NOW") == "1");
  CHECK(value(v2, kCpuBaselineVariable) == "x86-64-v2");
}

}  // namespace
}  // namespace om
