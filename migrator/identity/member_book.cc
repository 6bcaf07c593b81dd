// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/member_book.h"

#include <errno.h>
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/names.h"
#include "common/net/address.h"
#include "migrator/identity/left_line.h"

namespace om::migrator {
namespace {

constexpr mode_t kMode = 0644;
constexpr int64_t kFormat = 1;
constexpr size_t kMaxAddressText = 80;

Error bad_file(const std::string& what) { return Error{EBADMSG, "members: " + what}; }

template <class Members, class Same>
auto find_in(Members& members, Same same) -> decltype(&members.front()) {
  const auto found = std::find_if(members.begin(), members.end(), same);
  return found == members.end() ? nullptr : &*found;
}

}  // namespace

Json to_json(const KnownMember& member) {
  return {{"name", member.name},
          {"id", member.id.text()},
          {"number", member.number},
          {"address", member.address},
          {"signer", member.signer}};
}

Result<KnownMember> parse_member(const Json& item) {
  if (!item.is_object()) return plain_error("a member is no object");
  KnownMember member;
  member.name = OM_TRY(json_string(item, "name", kMaxNodeName));
  if (!valid_node_name(member.name)) return plain_error("a member's name");
  member.id = OM_TRY(NodeId::parse(OM_TRY(json_string(item, "id", 64))));
  member.number = static_cast<uint32_t>(OM_TRY(json_int(item, "number", 1, kMaxNodeNumber)));
  const Address address =
      OM_TRY(Address::parse(OM_TRY(json_string(item, "address", kMaxAddressText))));
  if (address.port() == 0 || address.is_any()) return plain_error("a member's address");
  member.address = address.text();
  member.signer = OM_TRY(json_bool_or(item, "signer", false));
  return member;
}

Result<std::vector<KnownMember>> parse_members(const Json& list) {
  if (!list.is_array() || list.size() > kMaxKnownMembers) return plain_error("no list of members");
  std::vector<KnownMember> members;
  std::set<std::string> names;
  std::set<NodeId> ids;
  for (const Json& item : list) {
    members.push_back(OM_TRY(parse_member(item)));
    if (!names.insert(members.back().name).second || !ids.insert(members.back().id).second)
      return plain_error("a member stands there twice");
  }
  return members;
}

Result<MemberBook> MemberBook::open(const OwnDirectory& state) {
  MemberBook book(state);
  const auto text = OM_TRY(read_left_line(state, kFileName, &OwnDirectory::read));
  if (!text) return book;
  const auto file = parse_json_line(*text);
  if (!file || !json_int(*file, "format", kFormat, kFormat)) return bad_file("another format");
  const auto list = file->find("members");
  auto members = parse_members(list == file->end() ? Json() : *list);
  if (!members) return bad_file(members.error().text());
  book.members_ = std::move(*members);
  return book;
}

Result<void> MemberBook::write(const std::vector<KnownMember>& members) const {
  Json list = Json::array();
  for (const KnownMember& member : members) list.push_back(to_json(member));
  return state_->replace(kFileName,
                         to_json_line({{"format", kFormat}, {"members", std::move(list)}}), kMode);
}

Result<void> MemberBook::set(const std::vector<KnownMember>& members) {
  OM_TRY(write(members));
  members_ = members;
  return {};
}

Result<bool> MemberBook::learn(const KnownMember& member) {
  auto members = members_;
  const KnownMember* holder = find(member.name);
  if (holder != nullptr && holder->id != member.id)
    return plain_error(fmt::format("another node has the name {}", member.name));
  KnownMember* known =
      find_in(members, [&](const KnownMember& other) { return other.id == member.id; });
  if (known != nullptr && *known == member) return false;
  if (known != nullptr) {
    *known = member;
  } else {
    if (members.size() >= kMaxKnownMembers) return plain_error("there are 1024 members already");
    members.push_back(member);
  }
  OM_TRY(set(members));
  return true;
}

Result<bool> MemberBook::forget(const NodeId& id) {
  const size_t count =
      std::erase_if(members_, [&](const KnownMember& member) { return member.id == id; });
  if (count == 0) return false;
  OM_TRY(write(members_));
  return true;
}

const KnownMember* MemberBook::find(const NodeId& id) const {
  return find_in(members_, [&](const KnownMember& member) { return member.id == id; });
}

const KnownMember* MemberBook::find(const std::string& name) const {
  return find_in(members_, [&](const KnownMember& member) { return member.name == name; });
}

}  // namespace om::migrator
