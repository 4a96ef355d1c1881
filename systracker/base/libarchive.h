/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libarchive.h - libarchive, loaded when it is first used: it brings libxml2 and ICU along, which
 * cost every start of a program 2 ms, and few ever look into a package file.
 *
 * Included instead of <archive.h>; its functions are called by their names, after
 * st_libarchive_load has returned 0.  A new function has to be added to the list.  A plug-in that
 * reads packages has libarchive.c built in, which needs nothing of the core but plugin.h.
 */
#ifndef ST_BASE_LIBARCHIVE_H
#define ST_BASE_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "systracker/plugin.h"

#define ST_LIBARCHIVE_FUNCTIONS(X)                                                                 \
  X(archive_entry_copy_stat)                                                                       \
  X(archive_entry_filetype)                                                                        \
  X(archive_entry_free)                                                                            \
  X(archive_entry_gid)                                                                             \
  X(archive_entry_gname)                                                                           \
  X(archive_entry_hardlink)                                                                        \
  X(archive_entry_mtime)                                                                           \
  X(archive_entry_new)                                                                             \
  X(archive_entry_pathname)                                                                        \
  X(archive_entry_perm)                                                                            \
  X(archive_entry_rdev)                                                                            \
  X(archive_entry_set_atime)                                                                       \
  X(archive_entry_set_filetype)                                                                    \
  X(archive_entry_set_gname)                                                                       \
  X(archive_entry_set_hardlink)                                                                    \
  X(archive_entry_set_mtime)                                                                       \
  X(archive_entry_set_pathname)                                                                    \
  X(archive_entry_set_perm)                                                                        \
  X(archive_entry_set_size)                                                                        \
  X(archive_entry_set_symlink)                                                                     \
  X(archive_entry_set_uname)                                                                       \
  X(archive_entry_size)                                                                            \
  X(archive_entry_symlink)                                                                         \
  X(archive_entry_uid)                                                                             \
  X(archive_entry_uname)                                                                           \
  X(archive_entry_unset_atime)                                                                     \
  X(archive_entry_unset_ctime)                                                                     \
  X(archive_entry_unset_size)                                                                      \
  X(archive_errno)                                                                                 \
  X(archive_error_string)                                                                          \
  X(archive_filter_bytes)                                                                          \
  X(archive_filter_code)                                                                           \
  X(archive_filter_count)                                                                          \
  X(archive_read_data)                                                                             \
  X(archive_read_data_block)                                                                       \
  X(archive_read_free)                                                                             \
  X(archive_read_new)                                                                              \
  X(archive_read_next_header)                                                                      \
  X(archive_read_open)                                                                             \
  X(archive_read_open_fd)                                                                          \
  X(archive_read_support_filter_bzip2)                                                             \
  X(archive_read_support_filter_gzip)                                                              \
  X(archive_read_support_filter_lzma)                                                              \
  X(archive_read_support_filter_none)                                                              \
  X(archive_read_support_filter_rpm)                                                               \
  X(archive_read_support_filter_xz)                                                                \
  X(archive_read_support_filter_zstd)                                                              \
  X(archive_read_support_format_ar)                                                                \
  X(archive_read_support_format_cpio)                                                              \
  X(archive_read_support_format_empty)                                                             \
  X(archive_read_support_format_tar)                                                               \
  X(archive_set_error)                                                                             \
  X(archive_write_add_filter_gzip)                                                                 \
  X(archive_write_add_filter_xz)                                                                   \
  X(archive_write_close)                                                                           \
  X(archive_write_data)                                                                            \
  X(archive_write_free)                                                                            \
  X(archive_write_header)                                                                          \
  X(archive_write_new)                                                                             \
  X(archive_write_open_fd)                                                                         \
  X(archive_write_set_bytes_in_last_block)                                                         \
  X(archive_write_set_filter_option)                                                               \
  X(archive_write_set_format_gnutar)

struct st_libarchive {
#define ST_LIBARCHIVE_MEMBER(name) __typeof__(&name) name;
  ST_LIBARCHIVE_FUNCTIONS(ST_LIBARCHIVE_MEMBER)
#undef ST_LIBARCHIVE_MEMBER
};

/* By any thread, any number of times. */
int st_libarchive_load(struct st_error *err);
/* What was loaded. */
const struct st_libarchive *st_libarchive(void);

#ifndef ST_LIBARCHIVE_ITSELF
#define archive_entry_copy_stat st_libarchive()->archive_entry_copy_stat
#define archive_entry_filetype st_libarchive()->archive_entry_filetype
#define archive_entry_free st_libarchive()->archive_entry_free
#define archive_entry_gid st_libarchive()->archive_entry_gid
#define archive_entry_gname st_libarchive()->archive_entry_gname
#define archive_entry_hardlink st_libarchive()->archive_entry_hardlink
#define archive_entry_mtime st_libarchive()->archive_entry_mtime
#define archive_entry_new st_libarchive()->archive_entry_new
#define archive_entry_pathname st_libarchive()->archive_entry_pathname
#define archive_entry_perm st_libarchive()->archive_entry_perm
#define archive_entry_rdev st_libarchive()->archive_entry_rdev
#define archive_entry_set_atime st_libarchive()->archive_entry_set_atime
#define archive_entry_set_filetype st_libarchive()->archive_entry_set_filetype
#define archive_entry_set_gname st_libarchive()->archive_entry_set_gname
#define archive_entry_set_hardlink st_libarchive()->archive_entry_set_hardlink
#define archive_entry_set_mtime st_libarchive()->archive_entry_set_mtime
#define archive_entry_set_pathname st_libarchive()->archive_entry_set_pathname
#define archive_entry_set_perm st_libarchive()->archive_entry_set_perm
#define archive_entry_set_size st_libarchive()->archive_entry_set_size
#define archive_entry_set_symlink st_libarchive()->archive_entry_set_symlink
#define archive_entry_set_uname st_libarchive()->archive_entry_set_uname
#define archive_entry_size st_libarchive()->archive_entry_size
#define archive_entry_symlink st_libarchive()->archive_entry_symlink
#define archive_entry_uid st_libarchive()->archive_entry_uid
#define archive_entry_uname st_libarchive()->archive_entry_uname
#define archive_entry_unset_atime st_libarchive()->archive_entry_unset_atime
#define archive_entry_unset_ctime st_libarchive()->archive_entry_unset_ctime
#define archive_entry_unset_size st_libarchive()->archive_entry_unset_size
#define archive_errno st_libarchive()->archive_errno
#define archive_error_string st_libarchive()->archive_error_string
#define archive_filter_bytes st_libarchive()->archive_filter_bytes
#define archive_filter_code st_libarchive()->archive_filter_code
#define archive_filter_count st_libarchive()->archive_filter_count
#define archive_read_data st_libarchive()->archive_read_data
#define archive_read_data_block st_libarchive()->archive_read_data_block
#define archive_read_free st_libarchive()->archive_read_free
#define archive_read_new st_libarchive()->archive_read_new
#define archive_read_next_header st_libarchive()->archive_read_next_header
#define archive_read_open st_libarchive()->archive_read_open
#define archive_read_open_fd st_libarchive()->archive_read_open_fd
#define archive_read_support_filter_bzip2 st_libarchive()->archive_read_support_filter_bzip2
#define archive_read_support_filter_gzip st_libarchive()->archive_read_support_filter_gzip
#define archive_read_support_filter_lzma st_libarchive()->archive_read_support_filter_lzma
#define archive_read_support_filter_none st_libarchive()->archive_read_support_filter_none
#define archive_read_support_filter_rpm st_libarchive()->archive_read_support_filter_rpm
#define archive_read_support_filter_xz st_libarchive()->archive_read_support_filter_xz
#define archive_read_support_filter_zstd st_libarchive()->archive_read_support_filter_zstd
#define archive_read_support_format_ar st_libarchive()->archive_read_support_format_ar
#define archive_read_support_format_cpio st_libarchive()->archive_read_support_format_cpio
#define archive_read_support_format_empty st_libarchive()->archive_read_support_format_empty
#define archive_read_support_format_tar st_libarchive()->archive_read_support_format_tar
#define archive_set_error st_libarchive()->archive_set_error
#define archive_write_add_filter_gzip st_libarchive()->archive_write_add_filter_gzip
#define archive_write_add_filter_xz st_libarchive()->archive_write_add_filter_xz
#define archive_write_close st_libarchive()->archive_write_close
#define archive_write_data st_libarchive()->archive_write_data
#define archive_write_free st_libarchive()->archive_write_free
#define archive_write_header st_libarchive()->archive_write_header
#define archive_write_new st_libarchive()->archive_write_new
#define archive_write_open_fd st_libarchive()->archive_write_open_fd
#define archive_write_set_bytes_in_last_block st_libarchive()->archive_write_set_bytes_in_last_block
#define archive_write_set_filter_option st_libarchive()->archive_write_set_filter_option
#define archive_write_set_format_gnutar st_libarchive()->archive_write_set_format_gnutar
#endif

#endif
