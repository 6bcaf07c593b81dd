// SPDX-License-Identifier: Apache-2.0
#include "common/proc/status.h"

#include "common/proc/proc_file.h"

namespace om::proc {
namespace {

template <class T>
bool parse_list(std::string_view text, std::vector<T>& out) {
  for (std::string_view field = take_field(text); !field.empty(); field = take_field(text)) {
    T value{};
    if (!parse_number(field, value)) return false;
    out.push_back(value);
  }
  return true;
}

bool parse_ids(std::string_view text, std::array<uint32_t, 4>& out) {
  for (uint32_t& id : out) {
    if (!parse_number(take_field(text), id)) return false;
  }
  return true;
}

bool parse_kib(std::string_view text, uint64_t& bytes) {
  uint64_t kib = 0;
  if (!parse_number(take_field(text), kib) || kib > UINT64_MAX / 1024) return false;
  bytes = kib * 1024;
  return true;
}

// The kernel writes a newline as \n and a backslash as \\ here.
std::string unescape_name(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out.push_back(text[i] == 'n' ? '\n' : text[i]);
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool parse_flag(std::string_view text, bool& out) {
  uint32_t value = 0;
  if (!parse_number(text, value)) return false;
  out = value != 0;
  return true;
}

bool has_word(std::string_view text, std::string_view word) {
  for (std::string_view field = take_field(text); !field.empty(); field = take_field(text)) {
    if (field == word) return true;
  }
  return false;
}

struct Seen {
  bool state = false, tgid = false, pid = false, uid = false, gid = false, threads = false,
       vm_size = false;
  bool all_required() const { return state && tgid && pid && uid && gid && threads; }
};

bool parse_line(std::string_view name, std::string_view value, Status& out, Seen& seen) {
  if (name == "Name") return out.name = unescape_name(value), true;
  if (name == "State") {
    if (value.empty()) return false;
    out.state = value[0];
    return seen.state = true;
  }
  if (name == "Tgid") return seen.tgid = parse_number(value, out.tgid);
  if (name == "Pid") return seen.pid = parse_number(value, out.pid);
  if (name == "PPid") return parse_number(value, out.ppid);
  if (name == "TracerPid") return parse_number(value, out.tracer_pid);
  if (name == "Uid") return seen.uid = parse_ids(value, out.uid);
  if (name == "Gid") return seen.gid = parse_ids(value, out.gid);
  if (name == "Groups") return parse_list(value, out.groups);
  if (name == "NSpid") return parse_list(value, out.ns_pids);
  if (name == "Kthread") return parse_flag(value, out.kernel_thread);
  if (name == "VmSize") return seen.vm_size = parse_kib(value, out.vm_size_bytes);
  if (name == "VmData") return parse_kib(value, out.vm_data_bytes);
  if (name == "VmLck") return parse_kib(value, out.vm_locked_bytes);
  if (name == "VmRSS") return parse_kib(value, out.vm_rss_bytes);
  if (name == "VmSwap") return parse_kib(value, out.vm_swap_bytes);
  if (name == "Threads") return seen.threads = parse_number(value, out.threads);
  if (name == "SigPnd") return parse_number(value, out.sig_pending, 16);
  if (name == "ShdPnd") return parse_number(value, out.sig_pending_shared, 16);
  if (name == "SigBlk") return parse_number(value, out.sig_blocked, 16);
  if (name == "SigIgn") return parse_number(value, out.sig_ignored, 16);
  if (name == "SigCgt") return parse_number(value, out.sig_caught, 16);
  if (name == "CapPrm") return parse_number(value, out.cap_permitted, 16);
  if (name == "CapEff") return parse_number(value, out.cap_effective, 16);
  if (name == "NoNewPrivs") return parse_flag(value, out.no_new_privs);
  if (name == "Seccomp") return parse_number(value, out.seccomp);
  if (name == "x86_Thread_features") return out.shadow_stack = has_word(value, "shstk"), true;
  return true;
}

}  // namespace

Result<Status> parse_status(std::string_view text) {
  Status status;
  Seen seen;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) return bad_text("status", line);
    if (!parse_line(line.substr(0, colon), trim(line.substr(colon + 1)), status, seen)) {
      return bad_text("status", line);
    }
  }
  if (!seen.all_required()) return Error{EBADMSG, "status: a required line is missing"};
  // A zombie has no memory either, but is not a kernel thread.
  bool ended = status.state == 'Z' || status.state == 'X';
  if (!seen.vm_size && !ended) status.kernel_thread = true;
  return status;
}

Result<Status> read_status(pid_t pid) { return parse_status(OM_TRY(read_proc(pid, "status"))); }

}  // namespace om::proc
