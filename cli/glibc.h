// SPDX-License-Identifier: Apache-2.0
//
// Versions of glibc as numbers: 2036 is 2.36. Which one a program asks for, and which a host has.
#pragma once

#include <string>
#include <string_view>

namespace om::cli {

// The highest that an ELF file asks for by its versioned symbols; 0: none.
int glibc_needed(std::string_view bytes);
// Of "glibc 2.36", as getconf(1) prints it; 0: something else.
int glibc_version(std::string_view text);
std::string glibc_text(int version);  // "2.36"

}  // namespace om::cli
