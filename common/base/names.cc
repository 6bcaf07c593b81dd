// SPDX-License-Identifier: Apache-2.0
#include "common/base/names.h"

#include <ctype.h>
#include <fmt/core.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

namespace om {
namespace {

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

std::string own_directory() {
  std::array<char, PATH_MAX> buffer{};
  ssize_t size = ::readlink("/proc/self/exe", buffer.data(), buffer.size() - 1);
  std::string path(buffer.data(), size > 0 ? static_cast<size_t>(size) : 0);
  return path.substr(0, path.rfind('/'));
}

// The path without ".." and with links resolved; unchanged if that fails.
std::string canonical(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string result = resolved;
  ::free(resolved);
  return result;
}

constexpr char kTemporary[] = "/tmp";
constexpr char kSocketName[] = "control.sock";

// Whether nobody else can have put anything into this directory.
bool is_own(const std::string& path, uid_t uid) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid &&
         (st.st_mode & 022) == 0;
}

bool has_socket(const std::string& directory) {
  return ::access((directory + "/" + kSocketName).c_str(), F_OK) == 0;
}

}  // namespace

bool valid_node_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNodeName || name == "home") return false;
  if (name.front() == '-' || name.back() == '-') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == name.npos;
}

std::string node_name_from_host(std::string_view host) {
  std::string name;
  for (char c : host.substr(0, host.find('.'))) {
    auto byte = static_cast<unsigned char>(c);
    name += ::isalnum(byte) != 0 && byte < 0x80 ? static_cast<char>(::tolower(byte)) : '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  while (!name.empty() && name.front() == '-') name.erase(0, 1);
  name = name.substr(0, kMaxNodeName);
  return valid_node_name(name) ? name : "node";
}

std::string user_directory(const std::string& base, uid_t uid) {
  const std::string usual = fmt::format("{}/om-{}", base, uid);
  std::vector<std::string> own;
  if (is_own(usual, uid)) own.push_back(usual);
  if (!own.empty() && has_socket(usual)) return usual;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    std::string path = entry.path().string();
    if (path.starts_with(usual + ".") && is_own(path, uid)) own.push_back(std::move(path));
  }
  std::sort(own.begin(), own.end());
  const auto with_socket = std::find_if(own.begin(), own.end(), has_socket);
  if (with_socket != own.end()) return *with_socket;
  return own.empty() ? usual : own.front();
}

std::string default_control_path(uid_t uid) {
  if (uid == 0) return std::string(kSystemControlPath);
  std::string runtime = environment("XDG_RUNTIME_DIR");
  if (!runtime.empty() && runtime.front() == '/') return runtime + "/om/" + kSocketName;
  return user_directory(kTemporary, uid) + "/" + kSocketName;
}

std::string make_default_control_path(uid_t uid) {
  const std::string path = default_control_path(uid);
  std::string other = fmt::format("{}/om-{}", kTemporary, uid);
  struct stat st {};
  const bool taken =
      path == other + "/" + kSocketName && ::lstat(other.c_str(), &st) == 0 && !is_own(other, uid);
  other += ".XXXXXX";
  return taken && ::mkdtemp(other.data()) != nullptr ? other + "/" + kSocketName : path;
}

std::string client_control_path() {
  std::string named = environment("OM_CONTROL");
  if (!named.empty()) return named;
  const std::string own = default_control_path(::geteuid());
  const bool there =
      ::access(own.c_str(), F_OK) == 0 && is_own(own.substr(0, own.rfind('/')), ::geteuid());
  return there ? own : std::string(kSystemControlPath);
}

Result<std::string> find_program(std::string_view name) {
  const std::string libexec = environment("OM_LIBEXEC"), own = own_directory();
  for (const std::string& place : {libexec, own, own + "/../libexec/om"}) {
    if (place.empty()) continue;
    const std::string candidate = fmt::format("{}/{}", place, name);
    if (::access(candidate.c_str(), X_OK) == 0) return canonical(candidate);
  }
  return Error{ENOENT, fmt::format("find {}", name)};
}

Result<std::string> find_preload_library() {
  std::string named = environment("OM_PRELOAD");
  if (!named.empty()) {
    if (::access(named.c_str(), R_OK) != 0) return errno_error("OM_PRELOAD=" + named);
    return canonical(named);
  }
  std::string own = own_directory();
  for (const char* place :
       {"/../lib/x86_64-linux-gnu/om/libom.so", "/../lib/om/libom.so", "/../lib64/om/libom.so"}) {
    std::string candidate = own + place;
    if (::access(candidate.c_str(), R_OK) == 0) return canonical(candidate);
  }
  return Error{ENOENT, "find libom.so (set OM_PRELOAD to its absolute path)"};
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace om
