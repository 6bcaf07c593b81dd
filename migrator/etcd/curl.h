// SPDX-License-Identifier: Apache-2.0
//
// The functions of libcurl that http.cc calls. The library is loaded when the first Http is made: it brings some twenty
// others, which would start with every daemon, and would be copied to each host of `om cluster run`, where nobody uses
// etcd.
#pragma once

#include <curl/curl.h>

#include "common/base/result.h"

namespace om::etcd {

struct Curl {
  // The same each time. Errors: no libcurl.so.4, or it cannot start.
  static Result<const Curl*> load();

  decltype(&curl_easy_cleanup) easy_cleanup;
  decltype(&curl_easy_getinfo) easy_getinfo;
  decltype(&curl_easy_init) easy_init;
  decltype(&curl_easy_setopt) easy_setopt;
  decltype(&curl_easy_strerror) easy_strerror;
  decltype(&curl_global_init) global_init;
  decltype(&curl_multi_add_handle) multi_add_handle;
  decltype(&curl_multi_cleanup) multi_cleanup;
  decltype(&curl_multi_info_read) multi_info_read;
  decltype(&curl_multi_init) multi_init;
  decltype(&curl_multi_remove_handle) multi_remove_handle;
  decltype(&curl_multi_setopt) multi_setopt;
  decltype(&curl_multi_socket_action) multi_socket_action;
  decltype(&curl_slist_append) slist_append;
  decltype(&curl_slist_free_all) slist_free_all;
};

}  // namespace om::etcd
