# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# ./dev build, env, demo, bench: the verbs that make the programs and use them.

# What a user calls (in PROGRAM_FOLDERS), what those look for (in libexec), what programs are started with.
PROGRAM_FOLDERS=(cli migrator)
PROGRAMS=(cli/om cli/openmosix migrator/om-migrator libexec libom/libom.so)

verb_build() {
  need_packages build
  configure "$OM_BUILD"
  compile "$OM_BUILD" "$@"
}

# PATH of the caller without the folders of this build, then with them in front: may be evaluated repeatedly.
verb_env() {
  local name folder part path='' front=''
  for name in "${PROGRAMS[@]}"; do
    [[ -e $OM_BUILD/$name ]] || die "$OM_BUILD/$name is not built; ./dev build does it"
  done
  for folder in "${PROGRAM_FOLDERS[@]}"; do front+=$OM_BUILD/$folder:; done
  while IFS= read -r -d : part; do
    case $part in
      "$OM_BUILD"/*) ;;
      *) path+=:$part ;;
    esac
  done <<<"$PATH:"
  echo "export PATH=$(shell_quoted "$front${path#:}")"
  echo "export OM_LIBEXEC=$(shell_quoted "$OM_BUILD/libexec")"
  echo "export OM_PRELOAD=$(shell_quoted "$OM_BUILD/libom/libom.so")"
}

verb_demo() {
  if (($# > 0)); then usage "demo takes no arguments"; fi
  need_packages build test
  configure "$OM_BUILD"
  say "build the programs (the first time takes some minutes)"
  compile "$OM_BUILD" "${PROGRAMS[@]}" examples/primes
  if readable_by_others "$OM_BUILD"; then
    exec "$PYTHON" "$OM_ROOT/tools/dev_demo.py" --build "$OM_BUILD"
  fi
  local status=0
  install_for_others "$OM_BUILD"
  "$PYTHON" "$OM_PLACE/tree/tools/dev_demo.py" --build "$OM_PLACE/build" || status=$?
  end_with "$status"
}

verb_bench() {
  need_packages build bench
  configure "$OM_BUILD"
  compile "$OM_BUILD" "${PROGRAMS[@]}" benches
  if readable_by_others "$OM_BUILD"; then
    exec "$PYTHON" "$OM_ROOT/bench/run.py" --build "$OM_BUILD" "$@"
  fi
  local status=0
  install_for_others "$OM_BUILD"
  "$PYTHON" "$OM_PLACE/tree/bench/run.py" --build "$OM_PLACE/build" "$@" || status=$?
  end_with "$status"
}
