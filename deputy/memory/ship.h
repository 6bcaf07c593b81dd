// SPDX-License-Identifier: Apache-2.0
//
// Pages out: everything in a region that is not zero (a body's fresh memory is). Of a private file mapping all of it,
// because the other node does not have the file.
#pragma once

#include "common/image/page_sink.h"
#include "deputy/memory/address_space.h"
#include "deputy/memory/objects.h"

namespace om::deputy {

// Sends everything that the body needs of the address space, and the end mark.
Step ship_pages(PageSink& sink, const HomeSide& home, const AddressSpace& space,
                MemoryObjects& objects);

}  // namespace om::deputy
