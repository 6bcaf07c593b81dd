// SPDX-License-Identifier: Apache-2.0
//
// Secrets are never arguments, which everybody on the machine can read: they are typed at the terminal without being
// shown, or come on stdin.
#pragma once

#include <string>

#include "common/base/result.h"

namespace om::cli {

// One line from the terminal, after "PROMPT: " and without echo; from stdin, without a prompt, if that is no terminal.
// `twice`: at a terminal it is asked for again and must be the same. Errors: nothing was given, it is longer than 1024
// bytes, the two differ.
Result<std::string> read_secret(const std::string& prompt, bool twice);

// One line of stdin, at most 1024 bytes, without its '\n'. Errors: nothing was given, or more.
Result<std::string> read_stdin_line();

}  // namespace om::cli
