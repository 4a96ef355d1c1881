#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The same with 300 MiB: one changed block costs a chunk or two, and memory stays as it is.
ST_LARGE_MEGABYTES=300
export ST_LARGE_MEGABYTES
. "$ST_SOURCE/tests/test-large-files.sh"
