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

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/open_files.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/movable/reasons.h"
#include "common/proc/process_id.h"
#include "deputy/attend.h"
#include "deputy/base/text.h"
#include "deputy/control.h"
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

struct Options {
  ProcessId process;
  std::string node;
  Address listen;
};

constexpr const char* kHelp =
    "usage: om-deputy --pid PID --start TICKS --node NAME --listen ADDRESS\n"
    "Moves process PID of this node, which was started at TICKS (field 22 of /proc/PID/stat), and "
    "looks after\n"
    "it while it is away. Started by om-migrator, which talks to it on descriptor 3; not meant to "
    "be run by\n"
    "hand. $OM_CONTROL is where a restarted om-migrator is found, $OM_ATTACH the proof for it.\n";

Result<Options> parse(int argc, char** argv) {
  Options o;
  auto listen = Address::parse("127.0.0.1", 0);
  if (!listen) return listen.error();
  o.listen = *listen;
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
      o.listen = OM_TRY(Address::parse(value, 0));
    } else {
      return plain_error(fmt::format("unknown option {}", om::escaped(name)));
    }
  }
  if (o.process.pid == 0 || o.process.start_ticks == 0 || o.node.empty())
    return plain_error("--pid, --start and --node are needed");
  return o;
}

// A tracee has stopped, perhaps one that was to be let go.
kj::Promise<void> watch_stops(kj::UnixEventPort& port) {
  return port.onSignal(SIGCHLD).then([&port](siginfo_t&&) {
    let_go_late();
    return watch_stops(port);
  });
}

class Deputy {
 public:
  Deputy(kj::AsyncIoContext& io, const Options& options)
      : io_(io),
        options_(options),
        control_(io, kControlFd, attaching()),
        process_(io, options.process.pid, options.node, options.listen, surroundings()) {}

  void run() {
    do {
      if (auto command = control_.next()) {
        obey(*command);
      } else if (process_.away()) {
        control_.arrived().exclusiveJoin(process_.notice.wait()).wait(io_.waitScope);
      } else if (control_.ended()) {
        break;
      } else {
        control_.arrived().wait(io_.waitScope);
      }
      attend(process_);
    } while (!process_.over());
    kj::runCatchingExceptions([&] { control_.flushed().wait(io_.waitScope); });
  }

 private:
  void obey(const Json& command) {
    const auto verb = json_string_or(command, "verb", 64, "").value_or("");
    id_ = json_int_or(command, "id", 0, INT64_MAX, 0).value_or(0);
    // What is away is watched. At home the pid may be another process's by now.
    if (!process_.away() && !options_.process.alive()) {
      KJ_REQUIRE(verb != "adopt", "the process has ended");
      return no_process();
    }
    if (verb == "depart") {
      auto to = json_string(command, "to", 64);
      if (!to) return refuse_command(to.error().text());
      // To another node: through home. The body is brought back first, then leaves again.
      if (process_.away()) {
        const MoveRecord back = come_home(process_);
        if (!back.moved()) return answer(back);
        process_.start_over();
      }
      answer(depart(process_, *to));
    } else if (verb == "home") {
      answer(come_home(process_));
    } else if (verb == "adopt") {
      adopt(command);
    } else if (verb == "stack") {
      control_.send({{"event", "result"}, {"id", id_}, {"data", stack_of(process_)}});
    } else if (verb == "trace") {
      const auto cursor = json_int_or(command, "cursor", 0, INT64_MAX, 0).value_or(0);
      control_.send({{"event", "result"},
                     {"id", id_},
                     {"data", process_.tracing.read(static_cast<uint64_t>(cursor), process_.at(),
                                                    process_.away())}});
    } else if (verb == "debug") {
      process_.cut(json_string_or(command, "what", 64, "all").value_or("all"));
      control_.send({{"event", "result"}, {"id", id_}, {"data", {{"result", "cut"}}}});
    } else {
      refuse_command("unknown verb " + om::escaped(verb));
    }
  }

  void adopt(const Json& command) {
    SessionKeys keys;
    const auto at = json_string(command, "at", 64);
    const auto session =
        from_hex(json_string_or(command, "session", 64, "").value_or(""), sizeof keys.session);
    const auto token =
        from_hex(json_string_or(command, "token", 64, "").value_or(""), sizeof keys.token);
    KJ_REQUIRE(at.ok() && session.ok() && token.ok(), "adopt needs at, session and token");
    memcpy(keys.session, session->data(), sizeof keys.session);
    memcpy(keys.token, token->data(), sizeof keys.token);
    om::deputy::take_over(process_, *at, keys,
                          json_bool_or(command, "moving", false).value_or(false));
  }

  void answer(const MoveRecord& record) {
    control_.send({{"event", "result"}, {"id", id_}, {"data", record.to_json()}});
  }
  void no_process() {
    const Reason gone{ReasonCode::kNoSuchProcess, "it has ended"};
    control_.send(
        {{"event", "result"},
         {"id", id_},
         {"data", {{"result", "failed"}, {"code", gone.name()}, {"message", gone.message()}}}});
  }
  void refuse_command(const std::string& why) {
    log_warn("control", "{}, ignoring", why);
    control_.send(
        {{"event", "result"},
         {"id", id_},
         {"data",
          {{"result", "failed"}, {"code", code_name(ReasonCode::kInternal)}, {"message", why}}}});
  }

  // A restarted om-migrator is looked for where the one was that has started us.
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

  Surroundings surroundings() {
    Surroundings s;
    s.need_guest = [this](const std::string& to, const SessionKeys& keys, uint16_t port,
                          Json offer) {
      control_.send({{"event", "need_guest"},
                     {"id", id_},
                     {"to", to},
                     {"port", port},
                     {"session", keys.session_hex()},
                     {"token", keys.token_hex()},
                     {"offer", std::move(offer)}});
      return control_.guest_answer(id_);
    };
    s.state = [this](const std::string& at, const std::string& state) {
      control_.send(
          {{"event", "state"}, {"at", at}, {"state", state}, {"pid", options_.process.pid}});
    };
    s.note = [this](ReasonCode code, const std::string& message) {
      control_.send({{"event", "note"}, {"code", code_name(code)}, {"message", message}});
    };
    s.session = [this](const std::string& at, const SessionKeys& keys, uint16_t port) {
      control_.send({{"event", "session"},
                     {"at", at},
                     {"port", port},
                     {"session", keys.session_hex()},
                     {"token", keys.token_hex()}});
    };
    s.stats = [this](Json stats) {
      stats["event"] = "stats";
      control_.send(stats);
    };
    return s;
  }

  kj::AsyncIoContext& io_;
  Options options_;
  Control control_;
  int64_t id_ = 0;
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
    // With our end the kernel lets them go as well, but then nobody completes their calls.
    let_go_late(std::chrono::steady_clock::now() + kLateLimit);
  });
  KJ_IF_MAYBE (exception, failed) {
    om::log_error("main", "{}", one_line(exception->getDescription()));
    return 1;
  }
  return 0;
}
