// SPDX-License-Identifier: Apache-2.0
//
// Descriptors of our own programs. A deputy and a keeper have several for each thread of their process, more
// than the usual soft limit of 1024 permits.
#pragma once

namespace om {

// Lifts the soft limit of open files of this process, and of what it starts, to the hard one.
void raise_open_files();

// True for EMFILE and ENFILE: a failure that ends when others close their descriptors.
bool out_of_files(int err);

}  // namespace om
