// SPDX-License-Identifier: Apache-2.0
//
// om-deputy: moves one process and looks after it while it is away. Started by om-migrator as the owner of the
// process, with a socket to the daemon as descriptor 3. Exits 0 when the process is home and native, or has
// ended.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kj/debug.h>

#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/open_files.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/movable/reasons.h"
#include "common/proc/process_id.h"
#include "deputy/attend.h"
#include "deputy/base/text.h"
#include "deputy/control.h"
#include "deputy/daemon.h"
#include "deputy/home/stopped.h"
#include "deputy/look/stack.h"
#include "deputy/moves/departure.h"
#include "deputy/moves/homecoming.h"
#include "deputy/moves/takeover.h"
#include "deputy/process.h"

namespace om::deputy {
namespace {

constexpr int kControlFd = 3;
constexpr int kUsage = 2;
constexpr auto kLateLimit = std::chrono::seconds(5);
constexpr auto kLeaveLimit = 5 * kj::SECONDS;

struct Options {
  ProcessId process;
  std::string node;
  Link::Place listen;
  LinkWire wire = LinkWire::kSealed;
};

constexpr const char* kHelp =
    "usage: om-deputy --pid PID --start TICKS --node NAME --listen ADDRESS [--ports A-B] "
    "[--not-ports P,P...]\n"
    "                 [--wire sealed|plain]\n"
    "Moves process PID of this node, which was started at TICKS (field 22 of /proc/PID/stat), and "
    "looks after\n"
    "it while it is away. Started by om-migrator, which talks to it on descriptor 3; not meant to "
    "be run by\n"
    "hand. --ports: it listens on one of these (default: any). --not-ports: but none of\n"
    "these. --wire: what its connections with "
    "the other node have to be (default: sealed).\n"
    "$OM_CONTROL is where a restarted om-migrator is found, $OM_ATTACH the proof for it.\n";

Result<Options> parse(int argc, char** argv) {
  Options o;
  auto listen = Address::parse("127.0.0.1", 0);
  if (!listen) return listen.error();
  o.listen.address = *listen;
  for (int i = 1; i < argc; i++) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) return plain_error(fmt::format("{} needs a value", om::escaped(name)));
    const std::string value = argv[++i];
    if (name == "--pid") {
      if (!parse_number(value, o.process.pid) || o.process.pid <= 0)
        return plain_error("--pid needs a process number");
    } else if (name == "--start") {
      if (!parse_number(value, o.process.start_ticks))
        return plain_error("--start needs clock ticks");
    } else if (name == "--node") {
      o.node = value;
    } else if (name == "--listen") {
      o.listen.address = OM_TRY(Address::parse(value, 0));
    } else if (name == "--ports") {
      o.listen.ports = OM_TRY(PortRange::parse(value));
    } else if (name == "--not-ports") {
      for (std::string_view rest = value; !rest.empty();) {
        const std::string_view number = rest.substr(0, rest.find(','));
        if (!parse_number(number, o.listen.others.emplace_back()))
          return plain_error("--not-ports needs ports, with commas between them");
        rest.remove_prefix(std::min(rest.size(), number.size() + 1));
      }
    } else if (name == "--wire") {
      if (value != "sealed" && value != "plain") return plain_error("--wire needs sealed or plain");
      o.wire = value == "plain" ? LinkWire::kPlain : LinkWire::kSealed;
    } else {
      return plain_error(fmt::format("unknown option {}", om::escaped(name)));
    }
  }
  if (o.process.pid == 0 || o.process.start_ticks == 0 || o.node.empty())
    return plain_error("--pid, --start and --node are needed");
  return o;
}

// A tracee has stopped, perhaps one that is still to be let go.
kj::Promise<void> watch_stops(kj::UnixEventPort& port) {
  return port.onSignal(SIGCHLD).then([&port](siginfo_t&&) {
    let_go_late();
    return watch_stops(port);
  });
}

class Deputy final : private Commands {
 public:
  Deputy(kj::AsyncIoContext& io, const Options& options)
      : io_(io),
        options_(options),
        commands_(*this, news_),
        control_(io, kControlFd, commands_, news_, attaching()),
        process_(io, options.process.pid, options.node, options.listen, options.wire,
                 daemon_of(control_)) {}

  void run() {
    do {
      if (!commands_.obey()) {
        if (process_.away()) {
          news_.wait().exclusiveJoin(process_.notice.wait()).wait(io_.waitScope);
        } else if (control_.daemon() == nullptr) {
          break;
        } else {
          news_.wait().wait(io_.waitScope);
        }
      }
      attend(process_);
    } while (!process_.over());
    kj::runCatchingExceptions([&] {
      io_.provider->getTimer().timeoutAfter(kLeaveLimit, control_.leave()).wait(io_.waitScope);
    });
  }

 private:
  // A process that is away is watched. At home its pid may belong to another process by now.
  bool has_ended() const { return !process_.away() && !options_.process.alive(); }
  Reason no_process() const { return Reason{ReasonCode::kNoSuchProcess, "it has ended"}; }

  MoveRecord depart(const std::string& to) override {
    if (has_ended()) return unmoved();
    // A move from node to node goes through home: the body comes back first, then leaves again.
    if (process_.away()) {
      const MoveRecord back = om::deputy::come_home(process_);
      if (!back.moved()) return back;
      process_.start_over();
    }
    return om::deputy::depart(process_, to);
  }
  MoveRecord come_home() override {
    return has_ended() ? unmoved() : om::deputy::come_home(process_);
  }
  Verdict<nlohmann::json> stack() override {
    if (has_ended()) return no_process();
    return stack_of(process_);
  }
  Verdict<nlohmann::json> trace(uint64_t cursor) override {
    if (has_ended()) return no_process();
    return process_.tracing.read(cursor, process_.at(), process_.away());
  }
  void take_over(const std::string& at, const SessionTerms& terms, bool moving) override {
    KJ_REQUIRE(!has_ended(), "the process has ended");
    om::deputy::take_over(process_, at, terms, moving);
  }
  void cut(const std::string& what) override {
    if (!has_ended()) process_.cut(what.empty() ? "all" : what);
  }

  MoveRecord unmoved() const {
    MoveRecord record;
    record.pid = options_.process.pid;
    record.mode.clear();
    record.reason = no_process();
    return record;
  }

  // Looks for a restarted om-migrator where the one that started us was.
  Control::Attaching attaching() {
    Control::Attaching a;
    const char* path = ::getenv("OM_CONTROL");
    a.path = path != nullptr ? path : "";
    const char* secret = ::getenv("OM_ATTACH");
    a.request = {{"verb", "deputy.attach"},
                 {"pid", options_.process.pid},
                 {"secret", secret != nullptr ? secret : ""}};
    a.wanted = [this] { return process_.away(); };
    a.attached = [this] { process_.report(); };
    return a;
  }

  kj::AsyncIoContext& io_;
  Options options_;
  Notice news_;  // a command or a daemon has come, or a daemon has gone
  CommandQueue commands_;
  Control control_;
  Process process_;
};

}  // namespace
}  // namespace om::deputy

int main(int argc, char** argv) {
  using namespace om::deputy;
  om::log_init("om-deputy");
  if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
    fputs(kHelp, stdout);
    return 0;
  }
  if (argc == 2 && !strcmp(argv[1], "--version")) {
    printf("om-deputy %s\n", om::build_version());
    return 0;
  }
  auto options = parse(argc, argv);
  if (!options) {
    fprintf(stderr, "om-deputy: %s\n", options.error().text().c_str());
    return kUsage;
  }
  signal(SIGPIPE, SIG_IGN);
  om::raise_open_files();
  kj::Maybe<kj::Exception> failed = kj::runCatchingExceptions([&] {
    kj::UnixEventPort::setReservedSignal(SIGUSR2);
    kj::UnixEventPort::captureSignal(SIGCHLD);
    auto io = kj::setupAsyncIo();
    auto stops = watch_stops(io.unixEventPort).eagerlyEvaluate(nullptr);
    Deputy deputy(io, *options);
    deputy.run();
    // When we exit the kernel lets them go as well, but then nobody completes their calls.
    let_go_late(std::chrono::steady_clock::now() + kLateLimit);
  });
  KJ_IF_MAYBE (exception, failed) {
    om::log_error("main", "{}", one_line(exception->getDescription()));
    return 1;
  }
  return 0;
}
