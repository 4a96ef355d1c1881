#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# automake has nothing to warn of.
. "$ST_SOURCE/tests/functions.sh"
need_program automake
[ -e "$ST_SOURCE/aclocal.m4" ] || skip "the source folder was not made ready by autoreconf"
mkdir "$scratch/source"
cd "$ST_SOURCE"
for part in configure.ac aclocal.m4 config.h.in build-aux m4 Makefile.am; do
  cp -a "$part" "$scratch/source/"
done
find archive-sync conf plugins restore systracker tests -name local.mk |
  tar -cf - -T - | tar -xf - -C "$scratch/source"
cd "$scratch/source"
expect_status 0 automake -Wall -Wno-portability -Werror
[ ! -s "$err" ] || fail "it warns"
# It is these files that were read.
echo 'NOBODY_LDFLAGS = -z' >>Makefile.am
expect_status 1 automake -Wall -Wno-portability -Werror
