# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/base/accounts.c systracker/base/accounts.h \
	systracker/base/age.c systracker/base/age.h \
	systracker/base/base64.c systracker/base/base64.h \
	systracker/base/bech32.c systracker/base/bech32.h \
	systracker/base/buffer.c systracker/base/buffer.h \
	systracker/base/cbor.c systracker/base/cbor.h \
	systracker/base/cleanup.h \
	systracker/base/digest.c systracker/base/digest.h \
	systracker/base/error.c systracker/base/error.h \
	systracker/base/escape.c systracker/base/escape.h \
	systracker/base/file.c systracker/base/file.h \
	systracker/base/flags.c systracker/base/flags.h \
	systracker/base/hashes.c systracker/base/hashes.h \
	systracker/base/holes.c systracker/base/holes.h \
	systracker/base/keys.c systracker/base/keys.h \
	systracker/base/libarchive.c systracker/base/libarchive.h \
	systracker/base/lock.c systracker/base/lock.h \
	systracker/base/log.c systracker/base/log.h \
	systracker/base/mapped.c systracker/base/mapped.h \
	systracker/base/meta.c systracker/base/meta.h \
	systracker/base/parallel.c systracker/base/parallel.h \
	systracker/base/process.c systracker/base/process.h \
	systracker/base/recovery.c systracker/base/recovery.h \
	systracker/base/set.c systracker/base/set.h \
	systracker/base/sqlite.c systracker/base/sqlite.h \
	systracker/base/text.c systracker/base/text.h \
	systracker/base/thread.c systracker/base/thread.h \
	systracker/base/version.c systracker/base/version.h \
	systracker/base/xattr.c systracker/base/xattr.h systracker/base/xattr-words.c

# A unit test lies beside what it tests.
if HAVE_CMOCKA
BASE_TESTS = \
	systracker/base/test-age \
	systracker/base/test-buffer \
	systracker/base/test-cbor \
	systracker/base/test-digest \
	systracker/base/test-error \
	systracker/base/test-escape \
	systracker/base/test-file \
	systracker/base/test-hashes \
	systracker/base/test-keys \
	systracker/base/test-lock \
	systracker/base/test-log \
	systracker/base/test-mapped \
	systracker/base/test-meta \
	systracker/base/test-parallel \
	systracker/base/test-process \
	systracker/base/test-text \
	systracker/base/test-thread \
	systracker/base/test-version \
	systracker/base/test-xattr
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
systracker_base_test_age_SOURCES = systracker/base/test-age.c systracker/base/test-scratch.h
systracker_base_test_buffer_SOURCES = systracker/base/test-buffer.c systracker/base/test-scratch.h
systracker_base_test_cbor_SOURCES = systracker/base/test-cbor.c systracker/base/test-scratch.h
systracker_base_test_digest_SOURCES = systracker/base/test-digest.c systracker/base/test-scratch.h
systracker_base_test_error_SOURCES = systracker/base/test-error.c systracker/base/test-scratch.h
systracker_base_test_escape_SOURCES = systracker/base/test-escape.c systracker/base/test-scratch.h
systracker_base_test_file_SOURCES = systracker/base/test-file.c systracker/base/test-scratch.h
systracker_base_test_hashes_SOURCES = systracker/base/test-hashes.c systracker/base/test-scratch.h
systracker_base_test_keys_SOURCES = systracker/base/test-keys.c systracker/base/test-scratch.h
systracker_base_test_lock_SOURCES = systracker/base/test-lock.c systracker/base/test-scratch.h
systracker_base_test_log_SOURCES = systracker/base/test-log.c systracker/base/test-scratch.h
systracker_base_test_mapped_SOURCES = systracker/base/test-mapped.c systracker/base/test-scratch.h
systracker_base_test_meta_SOURCES = systracker/base/test-meta.c systracker/base/test-scratch.h
systracker_base_test_parallel_SOURCES = systracker/base/test-parallel.c \
	systracker/base/test-scratch.h
systracker_base_test_process_SOURCES = systracker/base/test-process.c systracker/base/test-scratch.h
systracker_base_test_text_SOURCES = systracker/base/test-text.c systracker/base/test-scratch.h
systracker_base_test_thread_SOURCES = systracker/base/test-thread.c systracker/base/test-scratch.h
systracker_base_test_version_SOURCES = systracker/base/test-version.c
systracker_base_test_xattr_SOURCES = systracker/base/test-xattr.c systracker/base/test-scratch.h
endif
