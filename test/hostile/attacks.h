// SPDX-License-Identifier: Apache-2.0
//
// The longer attacks of attacker.cc. Each returns if what it was answered is right.
#pragma once

namespace om::hostile {

// Ends the program with status 1 and a line on stderr unless `holds`.
void check(bool holds, const char* what, long value);
// An ordinary call through the gate is still answered.
void still_served();

// forged.cc: Calls that no gate sends, with right sequence numbers.
void forge_calls();
// forged.cc: libom's own descriptors at home, by every way that there is.
void forge_descriptors();
// garbage.cc: bytes on the channel that are no message, or none for this thread.
void garbage_on_the_channel();
// garbage.cc: every kind of message, of every length, to the keeper.
void garbage_to_the_keeper();
// garbage.cc: more requests than anybody could serve.
void flood_the_keeper();
// parked.cc: while the keeper believes that all stands still, `what` in the block becomes nonsense.
void lie_when_parked(const char* what);
// garbage.cc: all the memory that the limits allow.
void exhaust_memory();

}  // namespace om::hostile
