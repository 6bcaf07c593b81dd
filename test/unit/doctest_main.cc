// SPDX-License-Identifier: Apache-2.0
//
// doctest itself and the main() of all unit tests.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <doctest/doctest.h>
