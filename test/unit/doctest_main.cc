// SPDX-License-Identifier: Apache-2.0
//
// main() of the unit tests that consist of several files.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>
