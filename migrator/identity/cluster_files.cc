// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/cluster_files.h"

#include <errno.h>

#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/base/names.h"
#include "common/net/address.h"
#include "common/net/json_line.h"
#include "common/tls/openssl.h"

namespace om::migrator {
namespace {

constexpr int64_t kFormat = 1;
constexpr int64_t kMaxSeconds = int64_t{1} << 33;
// A name of 253 bytes, a colon and a port.
constexpr size_t kMaxAddress = 259;

Error bad_file(const char* file, const char* what) {
  return Error{EBADMSG, std::string(file) + ": " + what};
}

// The object in a file, if it is of the format that this version writes.
Result<Json> read_file_text(const char* file, std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  auto object = parse_json_line(text);
  if (!object) return bad_file(file, "no JSON object");
  if (!json_int(*object, "format", kFormat, kFormat)) return bad_file(file, "another format");
  return object;
}

bool has_port(const std::string& address) {
  if (!Address::could_be(address)) return false;
  if (const auto numeric = Address::parse(address)) return numeric->port() != 0;
  const size_t colon = address.rfind(':');
  return colon != address.npos && address.find_first_not_of("0", colon + 1) != address.npos;
}

}  // namespace

bool GroupKey::gives_way_to(const GroupKey& other) const {
  // Two signers may have made one at once.
  if (other.number == number) return other.bytes > bytes;
  return other.number > number && other.number - number <= kFarAhead;
}

Result<GroupKey> GroupKey::make(uint32_t number) {
  return GroupKey{number, OM_TRY(random_bytes(kGroupKeyBytes))};
}

std::string to_text(const GroupKey& key) {
  return to_json_line({{"format", kFormat}, {"number", key.number}, {"key", to_hex(key.bytes)}});
}

std::string to_text(const ClusterInfo& info) {
  Json contacts = Json::array();
  for (const Contact& contact : info.contacts)
    contacts.push_back({{"name", contact.name}, {"address", contact.address}});
  const auto joined =
      std::chrono::duration_cast<std::chrono::seconds>(info.joined.time_since_epoch());
  return to_json_line({{"format", kFormat},
                       {"cluster", info.cluster},
                       {"joined", static_cast<int64_t>(joined.count())},
                       {"contacts", std::move(contacts)}});
}

Result<GroupKey> parse_group_key(const std::string& text) {
  constexpr const char* kFile = "group.key";
  const Json file = OM_TRY(read_file_text(kFile, text));
  const auto number = json_int(file, "number", 0, UINT32_MAX);
  const auto key = json_string(file, "key", 2 * kGroupKeyBytes);
  if (!number || !key) return bad_file(kFile, "it lacks a field or exceeds a limit");
  auto bytes = from_hex(*key, kGroupKeyBytes);
  if (!bytes) return bad_file(kFile, "it has no key");
  return GroupKey{static_cast<uint32_t>(*number), std::move(*bytes)};
}

Result<ClusterInfo> parse_cluster_info(const std::string& text) {
  constexpr const char* kFile = "cluster.json";
  const Json file = OM_TRY(read_file_text(kFile, text));
  const auto cluster = json_string(file, "cluster", kMaxNodeName);
  const auto joined = json_int(file, "joined", 0, kMaxSeconds);
  const auto contacts = file.find("contacts");
  if (!cluster || !valid_node_name(*cluster) || !joined || contacts == file.end() ||
      !contacts->is_array() || contacts->size() > kMaxContacts)
    return bad_file(kFile, "it lacks a field or exceeds a limit");
  ClusterInfo info{*cluster, WallTime(std::chrono::seconds(*joined)), {}};
  for (const Json& item : *contacts) {
    if (!item.is_object()) return bad_file(kFile, "a contact is no object");
    auto name = json_string(item, "name", kMaxNodeName);
    auto address = json_string(item, "address", kMaxAddress);
    if (!name || !(name->empty() || valid_node_name(*name)) || !address || !has_port(*address))
      return bad_file(kFile, "a contact");
    info.contacts.push_back({std::move(*name), std::move(*address)});
  }
  return info;
}

}  // namespace om::migrator
