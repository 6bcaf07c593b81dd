// SPDX-License-Identifier: Apache-2.0
//
// Descriptor limits of our own programs. A deputy and a keeper have several descriptors for each thread of their
// process, more than the usual soft limit of 1024 permits.
#pragma once

namespace om {

// Raises the soft limit on open files to the hard one, for this process and its children.
void raise_open_files();

// Whether it is EMFILE or ENFILE: a failure that passes when others close their descriptors.
bool out_of_files(int err);

}  // namespace om
