#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# clang-format over every C file, by the version that the project's format was made with.
. "$ST_SOURCE/tests/functions.sh"
need_program clang-format
clang-format --version | grep -q 'version 14\.' ||
  skip "the format is that of clang-format 14; here: $(clang-format --version)"
cd "$ST_SOURCE"
find archive-sync conf plugins restore systracker tests -name '*.[ch]' | sort >"$scratch/files"
xargs clang-format --dry-run -Werror <"$scratch/files"
