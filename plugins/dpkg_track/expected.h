/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expected.h - what a package expects of its paths.
 *
 * Where its file is kept, and the package is unpacked, that is what the file has at the paths of
 * dpkg's list; what dpkg noted of other contents, or leaves out by path-exclude, counts.  Else it
 * is what lies there now, its content as far as dpkg's own digests prove it ("observed").
 */
#ifndef ST_DPKG_TRACK_EXPECTED_H
#define ST_DPKG_TRACK_EXPECTED_H

#include "plugins/dpkg_track/database.h"

/* `expected` of plugin.h. */
int dpkg_expected(void *self, const char *table, const struct st_value *row,
                  struct st_manifest *out, struct st_error *err);

#endif
