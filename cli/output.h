// SPDX-License-Identifier: Apache-2.0
//
// om's output: results on stdout, diagnostics on stderr, colour only on a terminal and never with NO_COLOR. Text from
// programs or peers is first made harmless for terminals.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/net/control.h"

namespace om::cli {

// "om: text" on stderr.
void complain(std::string_view text);

// Writes one line with the code and, if the code is in the reason table, one with the remedy. Returns the exit status.
int report(const Failure& failure);

// Writes one JSON document and a newline to stdout. Returns the exit status: 1 (and complains) if stdout fails.
int print_json(const Json& value);
int print_text(std::string_view text);

// Makes text printable: control characters, direction marks and invalid UTF-8 become question marks.
std::string harmless(std::string_view text);

// A field of an answer, harmless; "" or 0 if it is missing, of another type or longer.
std::string text_of(const Json& object, const char* key, size_t max_bytes = 4096);
uint64_t number_of(const Json& object, const char* key);
// The same for what a program may have made long.
std::string long_text_of(const Json& object, const char* key);
// Says on stderr which processes and guests did not go home: of the daemon's outcome of a drain.
void complain_of_left(const Json& drained);

// Whether stdout supports colour, and its width in columns (0: unknown, no limit).
bool stdout_colour();
size_t stdout_columns();

// Left-aligned columns, two blanks apart; the first row is the heading. A column whose heading starts with '>' is
// right-aligned. The last column is cut at the terminal's width.
std::string format_table(const std::vector<std::vector<std::string>>& rows, size_t columns,
                         bool colour);

std::string human_bytes(uint64_t bytes);  // "12.3M"

}  // namespace om::cli
