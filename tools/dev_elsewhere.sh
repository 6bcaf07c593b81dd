#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# dev_elsewhere.sh BUILD TREE PLACE COMMAND...: the command with PLACE/build and PLACE/tree for what lies in BUILD and
# TREE. `meson test` calls it where the tests' user cannot read those (install_for_others in tools/dev_base.sh).
set -euo pipefail

build=$1 tree=$2 place=$3
shift 3
words=()
for word in "$@"; do
  case $word in
    "$build"/* | "$tree"/*) word=$(realpath --canonicalize-missing --no-symlinks -- "$word") ;;  # BUILD/../test
  esac
  case $word in
    "$build" | "$build"/*) word=$place/build${word#"$build"} ;;
    "$tree" | "$tree"/*) word=$place/tree${word#"$tree"} ;;
  esac
  words+=("$word")
done
cd "$place/build"
exec "${words[@]}"
