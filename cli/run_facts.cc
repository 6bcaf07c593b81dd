// SPDX-License-Identifier: Apache-2.0
#include "cli/run_facts.h"

#include <ctype.h>
#include <sys/utsname.h>

#include <algorithm>

#include "cli/glibc.h"
#include "cli/output.h"
#include "common/base/text.h"
#include "common/net/address.h"

namespace om::cli {
namespace {

constexpr size_t kMaxWord = 128, kMaxDir = 70, kMaxPrograms = 16, kHashDigits = 64;

// dash reads its input in blocks: nothing may follow the script before the script has said "ready".
constexpr std::string_view kScript = R"sh({
fail() { printf 'fail %s\n' "$*"; exit 1; }
d=
trap 'test -z "$d" || rm -rf "$d"' EXIT
trap 'exit 1' HUP INT TERM
umask 077
cd / || exit 1
unset LD_PRELOAD LD_LIBRARY_PATH OM_CONTROL OM_PRELOAD OM_LIBEXEC OM_NODE
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
printf '%s\n' 'om-host 1'
printf 'arch %s\n' "$(uname -m)"
printf 'libc %s\n' "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
printf 'ssh %s\n' "$SSH_CONNECTION"
printf 'boot %s\n' "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
printf 'net %s\n' "$(readlink /proc/self/ns/net 2>/dev/null)"
command -v sha256sum >/dev/null 2>&1 || fail 'it has no sha256sum(1)'
note() {
  test -r "$2" && h=$(sha256sum <"$2") && printf 'program %s %s\n' "$1" "${h%% *}"
}
m=$(command -v om 2>/dev/null)
if test -n "$m"; then
  p=${m%/*}/..
  note om "$m"
  note om-migrator "$p/bin/om-migrator"
  for n in om-deputy om-guest om-body; do note "$n" "$p/libexec/om/$n"; done
  for l in lib/x86_64-linux-gnu lib64 lib; do note libom.so "$p/$l/om/libom.so" && break; done
fi
for t in "$XDG_RUNTIME_DIR" "$TMPDIR" /tmp "$HOME"; do
  case $t in /*) test "${#t}" -lt 50 && test -d "$t" && test -w "$t" || continue ;; *) continue ;; esac
  d=$(mktemp -d "$t/om-run.XXXXXX" 2>/dev/null) || { d=; continue; }
  printf '#!/bin/sh\nexit 0\n' >"$d/try" && chmod 700 "$d/try" && "$d/try" 2>/dev/null && break
  rm -rf "$d"
  d=
done
test -n "$d" || fail 'it has no directory in which programs may be put and run'
rm "$d/try"
mkdir "$d/bin" "$d/lib" "$d/run" || fail "it cannot write to $d"
if test "$(id -u)" = 0; then chmod 711 "$d" "$d/bin" "$d/lib"; fi
printf 'dir %s\n' "$d"
printf 'ready\n'
while read -r verb mode name size sum; do
  case $verb in
  put)
    head -c "$size" >"$d/$name" 2>/dev/null || fail "it cannot write $name in $d"
    h=$(sha256sum <"$d/$name")
    test "${h%% *}" = "$sum" || fail "$name has arrived damaged"
    chmod "$mode" "$d/$name"
    ;;
  sync) printf 'ready\n' ;;
  copied)
    OM_LIBEXEC=$d/bin OM_PRELOAD=$d/bin/libom.so LD_LIBRARY_PATH=$d/lib "$d/bin/om" cluster run-node "$d"
    exit
    ;;
  installed)
    "$m" cluster run-node "$d"
    exit
    ;;
  *) fail 'it does not understand what it reads' ;;
  esac
done
exit 1
}
)sh";

bool is_word(std::string_view text, std::string_view more) {
  return text.size() <= kMaxWord && std::all_of(text.begin(), text.end(), [&](char c) {
           return ::isalnum(static_cast<unsigned char>(c)) != 0 || more.find(c) != more.npos;
         });
}

Error odd_line(std::string_view line) {
  return plain_error("it answers something else: " + harmless(line.substr(0, 80)));
}

Result<void> take_program(HostFacts& facts, std::string_view rest) {
  const std::string name(take_field(rest)), hash(take_field(rest));
  const bool digits = hash.size() == kHashDigits && is_word(hash, "");
  if (!is_word(name, "-.") || !digits || facts.installed.size() >= kMaxPrograms)
    return odd_line(name);
  facts.installed[name] = hash;
  return {};
}

}  // namespace

std::string_view host_script() { return kScript; }

Result<void> take_fact(HostFacts& facts, std::string_view line) {
  std::string_view rest = line;
  const std::string_view key = take_field(rest);
  rest = trim(rest);
  if (!facts.begun) {
    facts.begun = line == "om-host 1";
    return {};
  }
  if (facts.ready) return odd_line(line);
  if (key == "arch" && is_word(rest, "_-")) {
    facts.arch = rest;
  } else if (key == "libc" && is_word(rest, " .-_+")) {
    facts.libc = rest;
    facts.glibc = glibc_version(rest);
  } else if (key == "ssh" && is_word(rest, " .:%")) {
    take_field(rest);
    take_field(rest);
    if (const auto address = Address::parse(take_field(rest)); address && !address->is_any())
      facts.own_address = address->host();
  } else if (key == "boot" && is_word(rest, "-")) {
    facts.boot = rest;
  } else if (key == "net" && is_word(rest, ":[]")) {
    facts.net = rest;
  } else if (key == "program") {
    return take_program(facts, rest);
  } else if (key == "dir" && rest.size() <= kMaxDir && rest.starts_with('/') &&
             harmless(rest) == rest) {
    facts.dir = rest;
  } else if (key == "ready" && rest.empty() && !facts.dir.empty()) {
    facts.ready = true;
  } else {
    return key == "fail" ? plain_error(harmless(rest.substr(0, 300))) : odd_line(line);
  }
  return {};
}

HostFacts own_facts() {
  HostFacts facts;
  utsname name{};
  if (::uname(&name) == 0) facts.arch = name.machine;
  const std::string boot = read_text("/proc/sys/kernel/random/boot_id").value_or("");
  if (std::string_view rest = boot; !rest.empty()) facts.boot = take_line(rest);
  facts.net = read_link("/proc/self/ns/net").value_or("");
  return facts;
}

}  // namespace om::cli
