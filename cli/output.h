// SPDX-License-Identifier: Apache-2.0
//
// What om writes: results on stdout, diagnostics on stderr, colour only for a terminal and never with
// NO_COLOR. Text that comes from programs or peers is made harmless for a terminal first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/net/control.h"

namespace om::cli {

// "om: text" on stderr.
void complain(std::string_view text);

// One line with the code and, if the code is in the reason table, one with the remedy. Returns the exit
// status.
int report(const Failure& failure);

// One JSON document and a newline on stdout. The exit status: 1 (and a complaint) if stdout fails.
int print_json(const Json& value);
int print_text(std::string_view text);

// Printable: control characters, marks of direction and what is not UTF-8 become question marks.
std::string harmless(std::string_view text);

// Whether stdout takes colour, and its width in columns (0: unknown, no limit).
bool stdout_colour();
size_t stdout_columns();

// Left-aligned columns, two blanks apart; the first row is the heading. Numbers are right-aligned if the
// heading starts with '>'. The last column is cut at the width of the terminal.
std::string format_table(const std::vector<std::vector<std::string>>& rows, size_t columns,
                         bool colour);

std::string human_bytes(uint64_t bytes);  // "12.3M"

}  // namespace om::cli
