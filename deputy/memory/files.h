// SPDX-License-Identifier: Apache-2.0
//
// Files that the process has mapped shared, and of which the body has copies. A file that the process, or others, could
// change is leased while the process is away: others who want to write to it wait until the process is home. A file
// that the process writes for others to look at (common/movable/lazy_shared.h) is written back every second.
#pragma once

#include <kj/async.h>

#include <vector>

#include "common/base/file_lease.h"
#include "common/movable/preflight.h"
#include "common/schema/session.capnp.h"
#include "deputy/home/home_side.h"

namespace om::deputy {

class SharedFiles {
 public:
  explicit SharedFiles(HomeSide& home) : home_(home) {}

  // Takes the leases; to be called before a page of the files is read. SHARED_FILE.
  Step take(const ProcessReport& report);
  // take() after a deputy has died, and whether others may have written: since its death nobody has kept them from it.
  bool may_have_changed(const ProcessReport& report);
  void clear() {
    leases_.clear();
    lazy_shared_.clear();
    write_backs_ = 0;
  }

  // Whether somebody is waiting to write to one.
  bool is_wanted() const;
  bool writes_files() const { return !lazy_shared_.empty(); }
  // Copies what the body has in them to home's, unless that is under way already.
  void write_back_all(wire::Body::Client body, kj::TaskSet& tasks);

 private:
  kj::Promise<void> write_back(wire::Body::Client body, proc::Mapping map, uint64_t at);

  HomeSide& home_;
  std::vector<FileLease> leases_;           // copies are valid as long as these are held
  std::vector<proc::Mapping> lazy_shared_;  // written back now and then
  size_t write_backs_ = 0;                  // on their way
};

}  // namespace om::deputy
