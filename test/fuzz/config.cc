// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the configuration file of om-migrator (migrator/config/options.h), and its command line.
#include <vector>

#include "common/base/names.h"
#include "migrator/config/options.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(om::fuzz::text_of(data, size));
  om::migrator::Options options;
  auto applied = om::migrator::apply_config(options, text, "config");
  if (!applied) om::fuzz::require(applied.error().text().starts_with("config:"));
  static_cast<void>(om::migrator::check_listen(options, false, false));
  om::fuzz::require(om::node_name_from_host(text).size() <= 63);
  return 0;
}
