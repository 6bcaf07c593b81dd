# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# ./dev test, asan, tsan, cover, fuzz: the verbs that run tests. Each has a build directory of its own.

# run_tests DIRECTORY SUITE [meson test argument...]
run_tests() {
  local directory=$1 suite=$2 selection status=0 wrapper elsewhere=()
  shift 2
  case $suite in
    quick | full) selection=(--setup "$suite") ;;
    *) selection=(--suite "$suite") ;;
  esac
  if [[ $(meson test -C "$directory" --no-rebuild --list "${selection[@]}" "$@" 2>&1) == *'No suitable tests'* ]]; then
    usage "there is no such test: ${selection[*]} $*"
  fi
  if ! readable_by_others "$directory"; then
    if [[ -z ${OM_PLACE:-} ]]; then install_for_others "$directory"; fi
    wrapper="$(shell_quoted "$OM_ROOT/tools/dev_elsewhere.sh") $(shell_quoted "$directory")"
    elsewhere=(--wrapper "$wrapper $(shell_quoted "$OM_ROOT") $OM_PLACE")
  fi
  meson test -C "$directory" --no-rebuild --print-errorlogs "${elsewhere[@]}" "${selection[@]}" "$@" || status=$?
  say "logs: $directory/meson-logs/"
  if ((status == 0)); then say "suite $suite: passed"; else say "suite $suite: FAILED"; fi
  return "$status"
}

verb_test() {
  local suite=quick rest=() status=0
  while (($# > 0)); do
    case $1 in
      --suite)
        if (($# < 2)); then usage "--suite needs a name"; fi
        suite=$2
        shift
        ;;
      --suite=*) suite=${1#*=} ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  need_packages build test
  if [[ $suite == full ]]; then need_packages full; fi
  # Elsewhere its package would start a service, which nobody has asked for who runs the quick tests.
  if [[ $suite == full || ! -d /run/systemd/system ]]; then need_packages etcd; fi
  configure "$OM_BUILD"
  compile "$OM_BUILD"
  # Tests wait more than they compute: three at a time for every two CPUs.
  run_tests "$OM_BUILD" "$suite" --num-processes "$((($(nproc) * 3 + 1) / 2))" "${rest[@]}" || status=$?
  end_with "$status"
}

# compile_hosted DIRECTORY [SUITE...]: all programs but the behaviours, which are most of the work and never
# instrumented. With suites: without the programs of `unit` and `fuzz`, if they are not among them.
compile_hosted() {
  local directory=$1 programs name unwanted='^test/(behaviour'
  shift
  if (($# > 0)); then
    for name in unit fuzz; do
      if [[ " $* " != *" $name "* ]]; then unwanted+="|$name"; fi
    done
  fi
  mapfile -t programs < <(for rule in c_LINKER cpp_LINKER; do
    ninja -C "$directory" -t targets rule "$rule"
  done | grep -Ev "$unwanted)/")
  compile "$directory" "${programs[@]}" cli/openmosix libexec libom/abi/gen/syscalls.md
}

# sanitized NAME SANITIZERS SUITES [meson test argument...]: hosted code instrumented, freestanding code and
# the programs that are moved as ever.
# Reports of the daemons go to files, as nobody waits for how those end; any report is a failure.
sanitized() {
  local name=$1 sanitizers=$2 suites=$3 directory=$OM_BUILD-$1 suite arguments=() status=0 reports
  shift 3
  need_packages build test
  configure "$directory" "-Db_sanitize=$sanitizers" -Db_lundef=false -Dbench=false -Dmode=release \
    -Db_pch=false -Dcpp_args=-fno-sanitize-recover=all
  # shellcheck disable=SC2086
  compile_hosted "$directory" $suites
  for suite in $suites; do arguments+=(--suite "$suite"); done
  if (($# > 0)); then arguments=("$@"); fi
  reports=$directory/sanitizer-reports
  rm -rf "$reports"
  if ! readable_by_others "$directory"; then
    install_for_others "$directory"
    reports=$OM_PLACE/sanitizer-reports
  fi
  mkdir -p "$reports"
  chmod 1777 "$reports"
  local options=log_path=$reports/report
  # The link order: programs under test are started with other libraries in front, too.
  local asan=detect_stack_use_after_return=1:strict_string_checks=1:verify_asan_link_order=0
  export ASAN_OPTIONS=$options:$asan${ASAN_OPTIONS:+:$ASAN_OPTIONS}
  export UBSAN_OPTIONS=$options:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
  export TSAN_OPTIONS=$options:halt_on_error=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}
  run_tests "$directory" quick "${arguments[@]}" --timeout-multiplier 3 || status=$?
  # A process that leaves a stack of its own by exit or exec is warned about; that is no finding.
  if grep -h -m 1 -E 'ERROR|WARNING: ThreadSanitizer|runtime error|SUMMARY' -r "$reports" >"$reports.all"; then
    sort "$reports.all" | uniq -c >&2
    say "$name: findings in $reports"
    status=1
  fi
  end_with "$status"
}

verb_asan() {
  sanitized asan address,undefined 'unit fuzz cluster hostile' "$@"
}

# The daemons: the other tests start threads by system calls that the sanitizer does not know, or judge themselves.
verb_tsan() {
  sanitized tsan thread 'cluster hostile' "$@"
}

verb_cover() {
  local directory=$OM_BUILD-cover status=0
  need_packages build test
  configure "$directory" -Db_coverage=true -Db_pch=false -Dbench=false -Dmode=release
  readable_by_others "$directory" || run_in_readable_copy cover "$@"
  compile_hosted "$directory"
  find "$directory" -name '*.gcda' -delete
  # Tests started by root run as another user, who writes the counts beside the objects.
  if ((EUID == 0)); then find "$directory" -name '*.p' -type d -exec chmod a+rwX {} +; fi
  run_tests "$directory" quick --suite unit --suite fuzz --suite cluster "$@" || status=$?
  "$PYTHON" "$OM_ROOT/tools/dev_cover.py" --root "$OM_ROOT" --build "$directory"
  return "$status"
}

verb_fuzz() {
  local target='' seconds=60 directory=$OM_BUILD-fuzz name names=() status=0
  while (($# > 0)); do
    case $1 in
      --seconds)
        if (($# < 2)); then usage "--seconds needs a number"; fi
        seconds=$2
        shift
        ;;
      --seconds=*) seconds=${1#*=} ;;
      -*) usage "fuzz has no option $1" ;;
      *) target=$1 ;;
    esac
    shift
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || usage "--seconds: not a number: $seconds"
  for name in "$OM_ROOT"/test/fuzz/corpus/*/; do names+=("$(basename "$name")"); done
  if [[ -n $target ]]; then
    [[ -f $OM_ROOT/test/fuzz/$target.cc ]] || usage "no fuzz target $target; one of: ${names[*]}"
    names=("$target")
  fi
  need_packages build fuzz
  CC=clang CXX=clang++ configure "$directory" -Dfuzzers=true -Db_pch=false -Dbench=false -Dmode=release
  compile "$directory" fuzzers
  for name in "${names[@]}"; do
    fuzz_one "$directory" "$name" "$seconds" || status=1
  done
  return "$status"
}

# New inputs go to the build directory; what crashes is kept there and named.
fuzz_one() {
  local directory=$1/fuzz/$2
  mkdir -p "$directory"
  say "fuzz $2 for $3 s"
  if "$1/test/fuzz/$2_fuzz" -max_total_time="$3" -print_final_stats=1 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$directory/" "$directory" "$OM_ROOT/test/fuzz/corpus/$2" >"$directory.log" 2>&1; then
    say "$2: $(sed -n 's/^stat::number_of_executed_units: *//p' "$directory.log") runs, no finding"
    return
  fi
  tail -n 40 "$directory.log" >&2
  say "$2: a finding; input and log in $directory"
  return 1
}
