// SPDX-License-Identifier: Apache-2.0
#include "migrator/identity/node_numbers.h"

#include <errno.h>
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

#include "common/base/names.h"
#include "common/net/json_line.h"
#include "migrator/identity/left_line.h"

namespace om::migrator {
namespace {

constexpr mode_t kPrivate = 0600;
constexpr int64_t kFormat = 1;

Error bad_file(const char* what) { return Error{EBADMSG, std::string("node numbers: ") + what}; }

Result<NumberedNode> parse_node(const Json& item) {
  if (!item.is_object()) return bad_file("an entry is no object");
  const auto id = json_string(item, "id", 64);
  const auto name = json_string(item, "name", kMaxNodeName);
  const auto number = json_int(item, "number", 1, kMaxNodeNumber);
  if (!id || !name || !number || !valid_node_name(*name)) return bad_file("an entry");
  const auto node = NodeId::parse(*id);
  if (!node) return bad_file("an id");
  return NumberedNode{*node, *name, static_cast<uint32_t>(*number)};
}

}  // namespace

Result<NodeNumbers> parse_numbers(const OwnDirectory& state, const std::string& text) {
  const auto file = parse_json_line(text);
  if (!file || !json_int(*file, "format", kFormat, kFormat)) return bad_file("another format");
  const auto signer = json_int(*file, "signer", 1, kMaxSignerNumber);
  if (!signer) return bad_file("no signer");
  NodeNumbers numbers(state, static_cast<uint32_t>(*signer));
  const auto next = json_int(*file, "next", numbers.first(), int64_t{numbers.last()} + 1);
  if (!next) return bad_file("no next number");
  numbers.next_ = static_cast<uint32_t>(*next);
  const auto nodes = file->find("nodes");
  if (nodes == file->end() || !nodes->is_array() || nodes->size() > kMaxNumberedNodes)
    return bad_file("no list of nodes");
  std::set<std::string> names;
  std::set<uint32_t> given;
  for (const Json& item : *nodes) {
    NumberedNode node = OM_TRY(parse_node(item));
    if (node.number < numbers.first() || node.number >= numbers.next_ ||
        !names.insert(node.name).second || !given.insert(node.number).second)
      return bad_file("a number out of range, or two nodes with one name or number");
    const NodeId id = node.id;
    if (!numbers.nodes_.emplace(id, std::move(node)).second)
      return bad_file("an id stands there twice");
  }
  return numbers;
}

Result<NodeNumbers> NodeNumbers::open(const OwnDirectory& state, uint32_t signer) {
  if (signer == 0 || signer > kMaxSignerNumber)
    return plain_error(fmt::format("node number {} is too high for a signer (at most {})", signer,
                                   kMaxSignerNumber));
  const auto text = OM_TRY(read_left_line(state, kFileName, &OwnDirectory::read_private));
  if (!text) return NodeNumbers(state, signer);
  NodeNumbers numbers = OM_TRY(parse_numbers(state, *text));
  if (numbers.signer_ != signer) return bad_file("they were given by another signer");
  return numbers;
}

Result<void> NodeNumbers::write(const std::map<NodeId, NumberedNode>& nodes, uint32_t next) const {
  Json list = Json::array();
  for (const auto& [id, node] : nodes)
    list.push_back({{"id", id.text()}, {"name", node.name}, {"number", node.number}});
  const Json file = {
      {"format", kFormat}, {"signer", signer_}, {"next", next}, {"nodes", std::move(list)}};
  return state_->replace(kFileName, to_json_line(file), kPrivate);
}

const NumberedNode* NodeNumbers::find(const NodeId& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

const NumberedNode* NodeNumbers::find(const std::string& name) const {
  for (const auto& [id, node] : nodes_) {
    if (node.name == name) return &node;
  }
  return nullptr;
}

Result<uint32_t> NodeNumbers::number_for(const NodeId& id, const std::string& name) const {
  const NumberedNode* holder = find(name);
  if (holder != nullptr && holder->id != id)
    return plain_error(fmt::format("another node has the name {}", name));
  if (const NumberedNode* known = find(id)) return known->number;
  if (next_ > last()) return plain_error("this signer has no numbers left");
  if (nodes_.size() >= kMaxNumberedNodes)
    return plain_error("this signer has as many nodes as it can have");
  return next_;
}

Result<uint32_t> NodeNumbers::give(const NodeId& id, const std::string& name) {
  const uint32_t number = OM_TRY(number_for(id, name));
  const NumberedNode* known = find(id);
  if (known != nullptr && known->name == name) return number;
  auto nodes = nodes_;
  nodes[id] = NumberedNode{id, name, number};
  const uint32_t next = known == nullptr ? next_ + 1 : next_;
  OM_TRY(write(nodes, next));
  nodes_ = std::move(nodes);
  next_ = next;
  return number;
}

Result<void> NodeNumbers::remove(const NodeId& id) {
  if (find(id) == nullptr) return {};
  auto nodes = nodes_;
  nodes.erase(id);
  OM_TRY(write(nodes, next_));
  nodes_ = std::move(nodes);
  return {};
}

}  // namespace om::migrator
