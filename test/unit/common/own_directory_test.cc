// SPDX-License-Identifier: Apache-2.0
//
// common/base/own_directory.h and common/base/replace_file.h: what is trusted and what is not.
#include "common/base/own_directory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/base/replace_file.h"

namespace om {
namespace {

struct Place {
  std::string path = "/tmp/om-test-XXXXXX";
  Place() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Place() { std::filesystem::remove_all(path); }
  std::string at(const std::string& name) const { return path + "/" + name; }
};

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST_CASE("a directory is believed if nobody else can write it") {
  Place place;
  const std::string dir = place.at("d");
  CHECK(OwnDirectory::open(dir).error().err == ENOENT);
  REQUIRE(::mkdir(dir.c_str(), 0755) == 0);
  CHECK(OwnDirectory::open(dir).ok());
  CHECK(OwnDirectory::open(dir + "/").ok());
  CHECK(OwnDirectory::open("/").ok());  // root's
  for (mode_t mode : {0777, 0775, 01777, 0772}) {
    CAPTURE(mode);
    REQUIRE(::chmod(dir.c_str(), mode) == 0);
    CHECK(OwnDirectory::open(dir).error().err == EPERM);
  }
  REQUIRE(::chmod(dir.c_str(), 0755) == 0);
  REQUIRE(::symlink(dir.c_str(), place.at("link").c_str()) == 0);
  CHECK(OwnDirectory::open(place.at("link")).error().err == EPERM);
  CHECK(OwnDirectory::open(place.at("link/")).error().err == EPERM);
  write_file(place.at("file"), "");
  CHECK_FALSE(OwnDirectory::open(place.at("file")).ok());
  if (::geteuid() != 0) return;  // only root can make a directory for somebody else
  REQUIRE(::chown(dir.c_str(), 12345, 0) == 0);
  CHECK(OwnDirectory::open(dir).error().err == EPERM);
  CHECK(OwnDirectory::open(place.path)->inside("d").error().err == EPERM);
}

TEST_CASE("a private file is one that nobody else may read") {
  Place place;
  const OwnDirectory own = OwnDirectory::open(place.path).value();
  REQUIRE(own.create("key", "secret", 0600).ok());
  CHECK(*own.read_private("key") == "secret");
  for (mode_t mode : {0640, 0604, 0610, 0601}) {
    CAPTURE(mode);
    REQUIRE(::chmod(place.at("key").c_str(), mode) == 0);
    CHECK(own.read("key").ok());
    CHECK(own.read_private("key").error().err == EPERM);
  }
}

TEST_CASE("a file is created once") {
  Place place;
  const OwnDirectory own = OwnDirectory::open(place.path).value();
  REQUIRE(own.create("a", "first", 0600).ok());
  CHECK(own.create("a", "second", 0600).error().err == EEXIST);
  CHECK(*own.read("a") == "first");
  REQUIRE(::symlink("/nowhere", place.at("link").c_str()) == 0);
  CHECK(own.create("link", "text", 0600).error().err == EEXIST);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(place.path))
    files += !entry.path().empty();
  CHECK(files == 2);  // no draft
}

TEST_CASE("a file in it is believed if it is a file that nobody else can write") {
  Place place;
  const OwnDirectory own = OwnDirectory::open(place.path).value();
  CHECK(own.read("a").error().err == ENOENT);
  write_file(place.at("a"), "text");
  CHECK(*own.read("a") == "text");
  CHECK(*read_own_file(place.at("a")) == "text");
  REQUIRE(::chmod(place.at("a").c_str(), 0666) == 0);
  CHECK(own.read("a").error().err == EPERM);
  CHECK(read_own_file(place.at("a")).error().err == EPERM);
  write_file(place.at("b"), "text");
  REQUIRE(::symlink("b", place.at("link").c_str()) == 0);
  CHECK(own.read("link").error().err == EPERM);
  CHECK(own.append_to("link", 0644).error().err == EPERM);
  REQUIRE(::mkfifo(place.at("fifo").c_str(), 0600) == 0);
  CHECK_FALSE(own.read("fifo").ok());  // and does not wait for a writer
  CHECK_FALSE(own.read(".").ok());
  if (::geteuid() != 0) return;
  REQUIRE(::chown(place.at("b").c_str(), 12345, 0) == 0);
  CHECK(own.read("b").error().err == EPERM);
}

TEST_CASE("a directory that is put in its place meanwhile is not used") {
  Place place;
  REQUIRE(::mkdir(place.at("d").c_str(), 0755) == 0);
  const OwnDirectory own = OwnDirectory::open(place.at("d")).value();
  REQUIRE(own.replace("a", "old", 0600).ok());
  REQUIRE(::rename(place.at("d").c_str(), place.at("gone").c_str()) == 0);
  REQUIRE(::mkdir(place.at("d").c_str(), 0755) == 0);
  write_file(place.at("d/a"), "new");
  CHECK(*own.read("a") == "old");
  REQUIRE(own.remove("a").ok());
  CHECK_FALSE(own.has("a"));
  CHECK(std::filesystem::exists(place.at("d/a")));
}

TEST_CASE("what is removed does not lead elsewhere") {
  Place place;
  const OwnDirectory own = OwnDirectory::open(place.path).value();
  REQUIRE(::mkdir(place.at("victim").c_str(), 0755) == 0);
  write_file(place.at("victim/file"), "");
  REQUIRE(own.make_inside("tree", 0755).ok());
  REQUIRE(::symlink("../victim", place.at("tree/link").c_str()) == 0);
  REQUIRE(::symlink("victim", place.at("link").c_str()) == 0);
  REQUIRE(own.remove("tree").ok());
  REQUIRE(own.remove("link").ok());
  REQUIRE(own.remove("was never there").ok());
  CHECK_FALSE(own.has("tree"));
  CHECK_FALSE(own.has("link"));
  CHECK(std::filesystem::exists(place.at("victim/file")));
}

TEST_CASE("missing directories are made with their mode, whatever the umask") {
  Place place;
  const mode_t before = ::umask(077);
  auto made = OwnDirectory::make(place.at("x/y"), 0755);
  ::umask(before);
  REQUIRE(made.ok());
  struct stat info {};
  REQUIRE(::fstat(made->fd(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0755);
  CHECK(OwnDirectory::make(place.at("x/y"), 0755).ok());
  CHECK_FALSE(OwnDirectory::make("/proc/none/x", 0755).ok());
}

TEST_CASE("a draft is nothing that somebody could have put there") {
  Place place;
  const OwnDirectory own = OwnDirectory::open(place.path).value();
  write_file(place.at("victim"), "kept");
  // The name that drafts used to have.
  REQUIRE(::symlink("victim", place.at("a.new").c_str()) == 0);
  REQUIRE(own.replace("a", "text", 0600).ok());
  REQUIRE(replace_file(place.at("b"), "text", 0600).ok());
  CHECK(*own.read("a") == "text");
  CHECK(*own.read("b") == "text");
  CHECK(*own.read("victim") == "kept");
  CHECK(std::filesystem::is_symlink(place.at("a.new")));
  // Onto a link: replaces the link, not its target.
  REQUIRE(::symlink("victim", place.at("c").c_str()) == 0);
  REQUIRE(own.replace("c", "text", 0600).ok());
  CHECK(*own.read("victim") == "kept");
  size_t files = 0;
  for (auto& entry : std::filesystem::directory_iterator(place.path))
    files += entry.exists() ? 1 : 0;
  CHECK(files == 5);
  write_file(place.at("a.new-0123456789abcdef"), "");
  write_file(place.at("a.new-other"), "");
  own.remove_drafts("a");
  CHECK_FALSE(own.has("a.new-0123456789abcdef"));
  CHECK(own.has("a.new-other"));
}

TEST_CASE("paths are cut at their last component") {
  using Pair = std::pair<std::string, std::string>;
  CHECK(split_path("a/b") == Pair{"a", "b"});
  CHECK(split_path("/a/b//") == Pair{"/a", "b"});
  CHECK(split_path("b") == Pair{".", "b"});
  CHECK(split_path("/b") == Pair{"/", "b"});
  CHECK(split_path("/") == Pair{"/", ""});
}

}  // namespace
}  // namespace om
