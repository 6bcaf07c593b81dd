// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/deny_list.h"

#include <errno.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/hex.h"
#include "common/net/json_line.h"
#include "migrator/identity/left_line.h"

namespace om::migrator {
namespace {

constexpr mode_t kMode = 0644;
constexpr int64_t kFormat = 1;
constexpr size_t kDigestBytes = 8;

Error bad_file(const char* what) { return Error{EBADMSG, std::string("denied nodes: ") + what}; }

}  // namespace

Result<std::vector<DenyEntry>> parse_deny_file(const std::string& text) {
  const auto file = parse_json_line(text);
  if (!file || !json_int(*file, "format", kFormat, kFormat)) return bad_file("another format");
  const auto texts = json_strings(*file, "entries", kMaxDenyEntries, 2 * kMaxDenyBytes);
  if (!texts) return bad_file("no list of entries");
  std::vector<DenyEntry> entries;
  for (const std::string& hex : *texts) {
    const auto bytes = from_hex(hex, hex.size() / 2);
    if (!bytes) return bad_file("an entry");
    entries.push_back(OM_TRY(parse_deny(*bytes)));
  }
  return entries;
}

Result<DenyList> DenyList::open(const OwnDirectory& state, std::string_view ca_pem) {
  DenyList list(state, OM_TRY(DenyVerifier::make(ca_pem)));
  const auto text = OM_TRY(read_left_line(state, kFileName, &OwnDirectory::read));
  if (!text) return list;
  for (const DenyEntry& entry : OM_TRY(parse_deny_file(*text)))
    list.entries_[entry.node] = OM_TRY(list.verifier_.verify(entry.bytes));
  return list;
}

Result<void> DenyList::write() const {
  Json entries = Json::array();
  for (const auto& [node, entry] : entries_) entries.push_back(to_hex(entry.bytes));
  return state_->replace(
      kFileName, to_json_line({{"format", kFormat}, {"entries", std::move(entries)}}), kMode);
}

Result<bool> DenyList::add(std::string_view bytes, WallTime now) {
  const DenyEntry entry = OM_TRY(verifier_.verify(bytes));
  if (denies(entry.node)) return false;
  if (entries_.size() >= kMaxDenyEntries) {
    const DenyEntry* oldest = all().front();
    if (oldest->time + kDenyNeeded >= now) return Error{ENOSPC, "the list of removed nodes"};
    entries_.erase(oldest->node);
  }
  entries_[entry.node] = entry;
  OM_TRY(write());
  return true;
}

const DenyEntry* DenyList::find(const NodeId& node) const {
  const auto found = entries_.find(node);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<const DenyEntry*> DenyList::all() const {
  std::vector<const DenyEntry*> list;
  for (const auto& [node, entry] : entries_) list.push_back(&entry);
  std::stable_sort(list.begin(), list.end(),
                   [](const DenyEntry* a, const DenyEntry* b) { return a->time < b->time; });
  return list;
}

std::string DenyList::digest() const {
  std::string nodes;
  for (const auto& [node, entry] : entries_) nodes += node.text();
  return nodes.empty() ? "" : sha256(nodes).substr(0, kDigestBytes);
}

}  // namespace om::migrator
