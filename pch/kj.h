// SPDX-License-Identifier: Apache-2.0
//
// Precompiled for the sources of libraries that speak Cap'n Proto RPC (cpp_pch in their meson.build): a third of the
// time to compile such a file goes into reading KJ's headers.
//
// gcc 12 forgets the pragmas against warnings of a header that is precompiled: what KJ asks it to be silent about is
// named with the cpp_pch.
//
// It is no reason to include less: builds without precompiled headers (./dev asan, tsan, cover, fuzz) must pass.
#include <capnp/capability.h>
#include <capnp/rpc-twoparty.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <kj/async-io.h>
#include <kj/debug.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
