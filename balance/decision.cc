// SPDX-License-Identifier: Apache-2.0
#include "balance/decision.h"

#include <array>

namespace om::balance {
namespace {

struct Row {
  std::string_view name;
  std::string_view text;
};

constexpr std::array<Row, kAgainstCount> kAgainst{{
    {"nothing", "moves"},
    {"no_move", "processes of this node are not to leave it (stay)"},
    {"locked", "the process is locked"},
    {"not_movable", "something keeps the process where it is (om why)"},
    {"moving", "the process is about to move"},
    {"stay", "the process has arrived a short time ago"},
    {"young", "the process is too young: most of such an age end before a move would pay"},
    {"departures", "too many processes are leaving this node already"},
    {"unreachable", "the target cannot be reached"},
    {"stale", "what is known of the target is too old"},
    {"block", "the target takes no guests"},
    {"drain", "the target is being emptied"},
    {"owner", "the target's owner is at work"},
    {"full", "the target has as many guests as it may have"},
    {"untrusted",
     "the target promised more than guests got there, or has to show first what they get"},
    {"not_allowed", "the user's list of nodes leaves the target out"},
    {"features", "the target's CPUs lack instructions that the process may use"},
    {"memory", "the target is too small for the process"},
    {"margin", "the target is not better by enough"},
    {"io_bound", "forwarded calls would cost more than the target saves"},
    {"no_gain", "the move would cost more than it saves"},
    {"not_chosen", "another process or target is better"},
    {"busy", "the target says that it has become busy"},
}};

constexpr std::array<std::string_view, 8> kCauses{"load",  "speed", "memory", "owner",
                                                  "drain", "user",  "io",     "call"};

}  // namespace

std::string_view text(Against against) { return kAgainst[static_cast<size_t>(against)].text; }
std::string_view name(Against against) { return kAgainst[static_cast<size_t>(against)].name; }
std::string_view text(Cause cause) { return kCauses[static_cast<size_t>(cause)]; }

}  // namespace om::balance
