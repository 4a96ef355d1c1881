/* SPDX-License-Identifier: GPL-2.0-or-later */
/* version.h - the order of packages' versions. */
#ifndef ST_BASE_VERSION_H
#define ST_BASE_VERSION_H

/* Less than, equal to or greater than 0, as dpkg orders versions (deb-version(7)).  rpm's order
 * differs in rare cases only: for words it serves there, too, and for nothing else. */
int st_version_compare(const char *a, const char *b);
/* The same for rpm's [EPOCH:]VERSION-RELEASE (rpm-version(7)). */
int st_rpm_version_compare(const char *a, const char *b);

#endif
