// SPDX-License-Identifier: Apache-2.0
//
// om-guest: the keeper of one guest on this node. Started by om-migrator with the session's keys and
// home's offer as one JSON line on stdin. Exits when the guest has gone home, has ended, or its home is lost.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/open_files.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/net/json_line.h"
#include "guest/keeper.h"

namespace om::guest {
namespace {

constexpr int kUsage = 2;
constexpr int64_t kMaxOfferBytes = int64_t{1} << 52;
constexpr const char* kHelp =
    "usage: om-guest --home ADDRESS:PORT --node NAME --guest PID@NODE [--headroom BYTES]\n"
    "                [--namespaces try|require|off] [--memory BYTES] [--threads N]\n"
    "                [--cpu normal|low|idle]\n"
    "Keeps one guest process on this node. Started by om-migrator, with the keys of the session "
    "and the offer\n"
    "as one JSON line on standard input; not meant to be run by hand. --guest: whom ps is to "
    "show.\n"
    "--headroom: memory that the node keeps for itself: when less is left the guest is sent home\n"
    "(0, the default: never). --namespaces: whether the guest gets namespaces of its own (default: "
    "try).\n"
    "--memory: it is sent home when it has more. --threads: how many it may have. 0: no limit.\n"
    "--cpu: how much of the CPUs it gets beside other programs (default: normal).\n";

template <size_t N>
Result<void> read_bytes(const Json& line, const char* name, uint8_t (&to)[N]) {
  const std::string bytes = OM_TRY(from_hex(OM_TRY(json_string(line, name, 2 * N)), N));
  memcpy(to, bytes.data(), N);
  return {};
}

// The session's keys and the offer.
Result<void> read_input(KeeperOptions& options) {
  LineSplitter lines(kMaxRequestBytes);
  char buffer[4096];
  while (!lines.has_line()) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return plain_error("no keys on standard input");
    if (auto r = lines.push(std::string_view(buffer, static_cast<size_t>(n))); !r) return r.error();
  }
  const Json line = OM_TRY(parse_json_line(lines.pop()));
  OM_TRY(read_bytes(line, "session", options.terms.session));
  OM_TRY(read_bytes(line, "secret", options.terms.secret));
  options.cipher = OM_TRY(
      read_cipher(static_cast<uint64_t>(OM_TRY(json_int(line, "cipher", 0, kMaxCipherNumber)))));
  const auto offer = line.find("offer");
  if (offer == line.end() || !offer->is_object()) return plain_error("no offer on standard input");
  options.guest.offered =
      static_cast<uint64_t>(OM_TRY(json_int(*offer, "memory_bytes", 0, kMaxOfferBytes)));
  return {};
}

Result<KeeperOptions> parse(int argc, char** argv) {
  KeeperOptions o{};
  bool node = false;
  bool home = false;
  for (int i = 1; i < argc; i++) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) return plain_error(fmt::format("{} needs a value", escaped(name)));
    const std::string value = argv[++i];
    if (name == "--home") {
      o.home = OM_TRY(Address::parse(value, 0));
      home = o.home.port() != 0;
    } else if (name == "--node") {
      node = !value.empty();  // for `ps`
    } else if (name == "--guest") {
      o.guest.guest = value;
    } else if (name == "--headroom") {
      if (!parse_number(value, o.headroom)) return plain_error("--headroom needs bytes");
    } else if (name == "--namespaces") {
      const auto isolation = proc::read_isolation(value);
      if (!isolation) return plain_error("--namespaces needs try, require or off");
      o.guest.isolation = *isolation;
    } else if (name == "--memory") {
      if (!parse_number(value, o.memory)) return plain_error("--memory needs bytes");
    } else if (name == "--threads") {
      if (!parse_number(value, o.guest.threads)) return plain_error("--threads needs a number");
    } else if (name == "--cpu") {
      const auto share = proc::read_cpu_share(value);
      if (!share) return plain_error("--cpu needs normal, low or idle");
      o.guest.cpu = *share;
    } else {
      return plain_error(fmt::format("unknown option {}", escaped(name)));
    }
  }
  if (!home || !node || o.guest.guest.empty())
    return plain_error("--home ADDRESS:PORT, --node and --guest are needed");
  return o;
}

// When memory runs out the kernel ends the body first, its keeper next, and the host's own processes last.
void offer_itself_to_the_oom_killer() {
  const UniqueFd fd(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd.valid()) (void)!::write(fd.get(), "400", 3);  // best effort; a body has 500
}

}  // namespace
}  // namespace om::guest

int main(int argc, char** argv) {
  using namespace om::guest;
  om::log_init("om-guest");
  if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
    fputs(kHelp, stdout);
    return 0;
  }
  if (argc == 2 && !strcmp(argv[1], "--version")) {
    printf("om-guest %s\n", om::build_version());
    return 0;
  }
  auto options = parse(argc, argv);
  if (!options) {
    fprintf(stderr, "om-guest: %s\n", options.error().text().c_str());
    return kUsage;
  }
  auto input = read_input(*options);
  auto launcher = om::find_program("om-body");
  if (!input || !launcher) {
    om::log_error("main", "{}", input ? launcher.error().text() : input.error().text());
    return 1;
  }
  options->guest.launcher = *launcher;
  signal(SIGPIPE, SIG_IGN);
  om::raise_open_files();
  offer_itself_to_the_oom_killer();
  kj::Maybe<kj::Exception> failed = kj::runCatchingExceptions([&] {
    kj::UnixEventPort::setReservedSignal(SIGUSR2);
    kj::UnixEventPort::captureSignal(SIGUSR1);
    auto io = kj::setupAsyncIo();
    Keeper keeper(io, *options);
    keeper.run();
  });
  KJ_IF_MAYBE (exception, failed) {
    om::log_error("main", "{}", exception->getDescription().cStr());
    return 1;
  }
  return 0;
}
