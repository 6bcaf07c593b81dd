// SPDX-License-Identifier: Apache-2.0
#include "migrator/etcd/curl.h"

#include <dlfcn.h>

#include <string>

namespace om::etcd {
namespace {

constexpr const char* kLibrary = "libcurl.so.4";

Error last_error() {
  const char* why = ::dlerror();
  return plain_error(std::string("etcd is asked by libcurl (Debian: libcurl4): ") +
                     (why != nullptr ? why : kLibrary));
}

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<Curl> load_all() {
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return last_error();
  Curl curl{};
  const bool all = find(library, "curl_easy_cleanup", curl.easy_cleanup) &&
                   find(library, "curl_easy_getinfo", curl.easy_getinfo) &&
                   find(library, "curl_easy_init", curl.easy_init) &&
                   find(library, "curl_easy_setopt", curl.easy_setopt) &&
                   find(library, "curl_easy_strerror", curl.easy_strerror) &&
                   find(library, "curl_global_init", curl.global_init) &&
                   find(library, "curl_multi_add_handle", curl.multi_add_handle) &&
                   find(library, "curl_multi_cleanup", curl.multi_cleanup) &&
                   find(library, "curl_multi_info_read", curl.multi_info_read) &&
                   find(library, "curl_multi_init", curl.multi_init) &&
                   find(library, "curl_multi_remove_handle", curl.multi_remove_handle) &&
                   find(library, "curl_multi_setopt", curl.multi_setopt) &&
                   find(library, "curl_multi_socket_action", curl.multi_socket_action) &&
                   find(library, "curl_slist_append", curl.slist_append) &&
                   find(library, "curl_slist_free_all", curl.slist_free_all);
  if (!all) return last_error();
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return plain_error("libcurl cannot start");
  return curl;
}

}  // namespace

// Never unloaded: others may have taken it in use as well.
Result<const Curl*> Curl::load() {
  static const Result<Curl> loaded = load_all();
  if (!loaded) return loaded.error();
  return &*loaded;
}

}  // namespace om::etcd
