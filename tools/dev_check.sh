# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# ./dev lint, fmt: what is looked at without being run. lint runs every check and fails if one found
# something; fmt touches changed lines only, unless files are named.

# Tracked files and new ones that are not ignored, as paths from the root; without git, all but builds.
tree_files() {
  if git -C "$OM_ROOT" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git -C "$OM_ROOT" ls-files --cached --others --exclude-standard
  else
    (cd "$OM_ROOT" && find . -name 'build*' -prune -o -name '.?*' -type d -prune -o -type f -printf '%P\n')
  fi
}

# Shell scripts by name or first line, of the paths on stdin.
shell_scripts() {
  local file first
  while IFS= read -r file; do
    [[ -f $OM_ROOT/$file ]] || continue
    first=''
    case $file in
      *.sh) echo "$file" && continue ;;
      *.*) [[ $file == .ci/* ]] || continue ;;
    esac
    IFS= read -r first <"$OM_ROOT/$file" || true
    case $first in
      '#!/bin/sh'* | '#!/bin/bash'* | '#!/usr/bin/env bash'*) echo "$file" ;;
    esac
  done 2>/dev/null
}

# one_check NAME COMMAND...: silent if it holds.
one_check() {
  local name=$1
  shift
  if (cd "$OM_ROOT" && "$@") >&2; then
    say "$name: ok"
  else
    say "$name: FAILED"
    return 1
  fi
}

python_syntax() {
  "$PYTHON" - "$@" <<'END_OF_CHECK'
import sys
bad = 0
for name in sys.argv[1:]:
    try:
        with open(name, encoding='utf-8') as file:
            compile(file.read(), name, 'exec')
    except (SyntaxError, ValueError) as error:
        print(f'{name}: {error}')
        bad = 1
sys.exit(bad)
END_OF_CHECK
}

verb_lint() {
  local status=0 name scripts modules
  if (($# > 0)); then usage "lint takes no arguments"; fi
  need_packages build lint
  configure "$OM_BUILD"
  compile "$OM_BUILD" "${PROGRAMS[@]}"
  mapfile -t scripts < <(tree_files | shell_scripts)
  mapfile -t modules < <(tree_files | grep '\.py$')
  one_check "shellcheck (${#scripts[@]} scripts)" shellcheck -x "${scripts[@]}" || status=1
  one_check "python syntax (${#modules[@]} modules)" python_syntax "${modules[@]}" || status=1
  for name in "$OM_ROOT"/tools/check_*.py; do
    case $name in *_test.py) continue ;; esac
    one_check "$(basename "$name" .py)" "$PYTHON" "$name" --root "$OM_ROOT" --build "$OM_BUILD" || status=1
  done
  return "$status"
}

# Formats the lines that differ from HEAD and new files whole; or the named files whole.
verb_fmt() {
  local check='' files=() status=0 name
  while (($# > 0)); do
    case $1 in
      --check) check=1 ;;
      -*) usage "fmt has no option $1" ;;
      *) files+=("$(realpath -- "$1")") ;;
    esac
    shift
  done
  need_packages lint
  cd "$OM_ROOT" || exit 1
  if ((${#files[@]} == 0)); then
    git rev-parse --verify -q HEAD >/dev/null || usage "no git checkout here: name the files"
    mapfile -t files < <(git ls-files --others --exclude-standard -- '*.h' '*.cc')
    # --diff prints the difference and changes nothing; it ends with 0 either way.
    if [[ -n $check ]]; then
      name=$(git clang-format --quiet --extensions h,cc --diff HEAD)
      if [[ -n $name ]]; then
        echo "$name"
        status=1
      fi
    else
      git clang-format --quiet --force --extensions h,cc HEAD || status=$?
    fi
  fi
  for name in "${files[@]}"; do
    if [[ -z $check ]]; then
      clang-format -i "$name" || status=1
    elif ! clang-format "$name" | diff -u --label "$name" --label "$name, formatted" "$name" -; then
      status=1
    fi
  done
  return "$status"
}
