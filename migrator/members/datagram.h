// SPDX-License-Identifier: Apache-2.0
//
// Datagrams between members: ping, ping-request, ack and gossip, with rumours in what room is left. Numbers are little
// endian:
//
//   version 1 | kind 1 | sequence 4 | incarnation of the sender 6 | target 8 | rumour ...
//   rumour: kind 1 | bytes of the body 2 | node 8 | incarnation 6 | body
//
// Every rumour begins like this, so a node passes on kinds that it does not know. Bodies of known kinds may have more
// at the end than this version reads. Who sent a datagram is not in it: the caller knows that from the seal.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "migrator/members/node_record.h"

namespace om::members {

// Before sealing, which adds up to 48 bytes: 1200 on the wire.
constexpr size_t kMaxDatagramBytes = 1152;
constexpr size_t kDatagramHeaderBytes = 20;
constexpr size_t kRumourHeaderBytes = 17;
constexpr size_t kMaxRumourBody = 512;
constexpr uint64_t kMaxIncarnation = (uint64_t{1} << 48) - 1;

enum class DatagramKind : uint8_t {
  kPing = 1,         // answer with an ack of the same sequence number
  kPingRequest = 2,  // ping `target` and pass its ack on
  kAck = 3,          // `target` is alive
  kGossip = 4,       // rumours only
};

// The kinds that this version knows; a byte on the wire may have any value.
enum RumourKind : uint8_t {
  kJoined = 1,     // body: the node's record
  kAlive = 2,      // an objection: raised by the node itself
  kSuspected = 3,  // does not answer pings
  kDown = 4,       // could not be dialled either
  kLeft = 5,       // has said goodbye
  kDenied = 6,     // body: the signed deny entry; final
  kAsked = 7,      // to the node itself, which is to send its record; never passed on
};

struct Rumour {
  uint8_t kind = 0;
  NodeId node{};
  uint64_t incarnation = 0;            // at most kMaxIncarnation
  std::optional<NodeRecord> record{};  // of kJoined, and only of it
  std::string body{};                  // at most kMaxRumourBody; of kJoined the encoded record
};

struct Datagram {
  DatagramKind kind = DatagramKind::kGossip;
  uint32_t sequence = 0;
  uint64_t incarnation = 0;  // of the sender
  NodeId target{};
  std::vector<Rumour> rumours{};
};

// Preconditions: check_record().
Rumour joined(const NodeRecord& record, uint64_t incarnation);

// The datagram without rumours: kDatagramHeaderBytes.
std::string encode_header(const Datagram& datagram);

// Appends one rumour. Preconditions: a body of at most kMaxRumourBody bytes.
void append_rumour(std::string& bytes, const Rumour& rumour);

// An Error for anything but a well-formed datagram of this version: too long or too short, an unknown kind of datagram,
// a length beyond the end, a record with a field out of its range. Nothing is kept of `bytes`.
Result<Datagram> decode_datagram(std::string_view bytes);

// Rumours one after the other, as append_rumour() makes them. An Error for anything else, or for more than `most`
// bytes.
Result<std::vector<Rumour>> decode_rumours(std::string_view bytes, size_t most);

}  // namespace om::members
