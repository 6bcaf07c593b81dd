// SPDX-License-Identifier: Apache-2.0
//
// What `om cluster run` learns of a host before any program of ours is there: a script of POSIX sh that it sends to the
// stdin of a shell on the host, and the lines that the script answers. They are foreign text, bounded and checked.
//
// The script makes a directory, says what the host is, and takes what is copied to it:
//
//   om-host 1                          the first line; a login may print others before
//   arch x86_64, libc glibc 2.36       uname -m, getconf GNU_LIBC_VERSION
//   ssh 10.1.2.1 50312 10.1.2.3 22     $SSH_CONNECTION: our address, its address
//   boot ID, net ID                    which running kernel, which network namespace it is
//   program om-deputy HASH             SHA-256 of an installed program
//   dir /run/user/1000/om-run.R4nd0m   what it has made, mode 0700 (0711 for root, whose guests have other user ids)
//   ready                              from now on it reads
//   fail TEXT                          instead of any line: why not
//
// and reads "put MODE NAME SIZE HASH" with SIZE bytes after it, any number of them, "sync", which it answers by "ready"
// when it has them, and at last "copied" or "installed", which starts `om cluster run-node DIR`. It removes the
// directory when that has ended, and when it ends before.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om::cli {

constexpr size_t kMaxFactLines = 200;

// The script: one command for the shell, which has read all of it before it begins.
std::string_view host_script();

struct HostFacts {
  bool begun = false;  // the first line has come
  bool ready = false;  // all have
  std::string arch;
  int glibc = 0;            // 2036 is 2.36; 0: another C library, or not known
  std::string libc;         // as said
  std::string own_address;  // numeric, as ssh there sees it; empty: not by ssh
  std::string boot, net;
  std::map<std::string, std::string> installed;  // hash by program
  std::string dir;
};

// Takes one line. Errors: `fail`, with its text; a line that the script does not print; too much of anything. Lines
// before the first one of the script are passed over.
Result<void> take_fact(HostFacts& facts, std::string_view line);

// The same for this machine: kernel and network namespace, to tell whether a host is this one.
HostFacts own_facts();

}  // namespace om::cli
