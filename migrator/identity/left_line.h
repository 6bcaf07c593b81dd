// SPDX-License-Identifier: Apache-2.0
//
// A file of one line that an earlier daemon has left.
#pragma once

#include <errno.h>

#include <optional>
#include <string>

#include "common/base/own_directory.h"
#include "common/base/result.h"

namespace om::migrator {

using ReadFile = Result<std::string> (OwnDirectory::*)(const std::string&) const;

// The line, without its end; nullopt if there is no such file. Removes drafts of it. `read`: how, which says also who
// else may have access. Errors: those of `read`.
inline Result<std::optional<std::string>> read_left_line(const OwnDirectory& state,
                                                         const char* file, ReadFile read) {
  state.remove_drafts(file);
  auto text = (state.*read)(file);
  if (!text && text.error().err == ENOENT) return std::optional<std::string>();
  if (!text) return text.error();
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return std::optional<std::string>(std::move(*text));
}

}  // namespace om::migrator
