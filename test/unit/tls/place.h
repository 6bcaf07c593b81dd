// SPDX-License-Identifier: Apache-2.0
//
// A directory of a test's own, removed at its end.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/base/own_directory.h"

namespace om {

struct Place {
  std::string path = "/tmp/om-test-XXXXXX";
  Place() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Place() { std::filesystem::remove_all(path); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::string at(const std::string& name) const { return path + "/" + name; }
  OwnDirectory own() const { return OwnDirectory::open(path).value(); }
  std::string read(const std::string& name) const {
    std::ifstream file(at(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name)) << text;
  }
};

}  // namespace om
