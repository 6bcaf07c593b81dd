// SPDX-License-Identifier: Apache-2.0
//
// Names and paths that several programs must agree on: node names, the control socket, the other programs, libom.so.
// Environment: OM_CONTROL, OM_PRELOAD, OM_LIBEXEC, XDG_RUNTIME_DIR.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

constexpr size_t kMaxNodeName = 63;
constexpr size_t kMaxControlPath = 107;  // sun_path without its NUL

// [a-z0-9-]{1,63}, not "home" (a word of `om migrate`), no '-' at either end.
bool valid_node_name(std::string_view name);
// Turns a host name into a node name: lower case, without the domain, other characters become '-'.
std::string node_name_from_host(std::string_view host);

// Where a daemon of this user listens by default: /run/om/control.sock for root, else $XDG_RUNTIME_DIR/om/control.sock,
// or without that variable control.sock in user_directory("/tmp").
std::string default_control_path(uid_t uid);
// The same for a daemon that is about to listen there: if somebody else has taken the usual name, makes another
// directory with an unpredictable name.
std::string make_default_control_path(uid_t uid);
// BASE/om-UID or a BASE/om-UID.XXXXXX: the first that nobody but the user can have put anything into, preferring one
// with a control socket. BASE/om-UID if there is none.
std::string user_directory(const std::string& base, uid_t uid);
inline constexpr std::string_view kSystemControlPath = "/run/om/control.sock";

// The socket that a client uses: OM_CONTROL; else this user's default if it exists and nobody else owns it; else the
// system's.
std::string client_control_path();

// The path of one of our programs ("om-deputy"): in $OM_LIBEXEC, beside this program, in the
// ../libexec/om of an installation. ENOENT if it is in none of them.
Result<std::string> find_program(std::string_view name);

// The absolute path of libom.so: $OM_PRELOAD, or where an installation puts it ($prefix/lib/x86_64-linux-gnu/om).
// ENOENT if it is in neither.
Result<std::string> find_preload_library();

// Quotes one argument for sh(1), in single quotes.
std::string shell_quoted(std::string_view text);

}  // namespace om
