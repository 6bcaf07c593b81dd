// SPDX-License-Identifier: Apache-2.0
#include "common/base/version.h"

namespace om {

// OM_BUILD_VERSION comes from meson.build.
const char* build_version() { return OM_BUILD_VERSION; }

}  // namespace om
