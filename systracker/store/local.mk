# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/store/bases.c systracker/store/bases.h \
	systracker/store/catchup.c \
	systracker/store/chunker.c systracker/store/chunker.h \
	systracker/store/chunklist.c systracker/store/chunklist.h \
	systracker/store/delta.c systracker/store/delta.h \
	systracker/store/group.c systracker/store/group.h \
	systracker/store/internal.h \
	systracker/store/object.c \
	systracker/store/checked.c systracker/store/checked.h \
	systracker/store/objectindex.c systracker/store/objectindex.h \
	systracker/store/objectindex-internal.h systracker/store/objectindexfile.c \
	systracker/store/pack.c systracker/store/pack.h \
	systracker/store/packages.c systracker/store/packages.h \
	systracker/store/packs.c systracker/store/packs.h \
	systracker/store/put.c \
	systracker/store/record.c systracker/store/record.h \
	systracker/store/repack.c systracker/store/repack.h \
	systracker/store/repackplan.c systracker/store/repackplan.h \
	systracker/store/store.c systracker/store/store.h \
	systracker/store/transfer.c systracker/store/transfer.h \
	systracker/store/tail.c systracker/store/tail.h \
	systracker/store/verify.c \
	systracker/store/writer.c

if HAVE_CMOCKA
check_PROGRAMS += systracker/store/test-chunker systracker/store/test-chunks \
	systracker/store/test-damage systracker/store/test-groups systracker/store/test-locate systracker/store/test-packages \
	systracker/store/test-repack \
	systracker/store/test-record systracker/store/test-store systracker/store/test-transfer
systracker_store_test_chunker_SOURCES = systracker/store/test-chunker.c \
	systracker/store/test-scratch.h
systracker_store_test_chunks_SOURCES = systracker/store/test-chunks.c systracker/store/test-scratch.h
systracker_store_test_damage_SOURCES = systracker/store/test-damage.c systracker/store/test-scratch.h
systracker_store_test_locate_SOURCES = systracker/store/test-locate.c systracker/store/test-scratch.h
systracker_store_test_groups_SOURCES = systracker/store/test-groups.c systracker/store/test-scratch.h
systracker_store_test_packages_SOURCES = systracker/store/test-packages.c \
	systracker/base/test-scratch.h
systracker_store_test_record_SOURCES = systracker/store/test-record.c
systracker_store_test_repack_SOURCES = systracker/store/test-repack.c \
	systracker/store/test-scratch.h
systracker_store_test_store_SOURCES = systracker/store/test-store.c systracker/store/test-scratch.h
systracker_store_test_transfer_SOURCES = systracker/store/test-transfer.c \
	systracker/store/test-scratch.h
TESTS += systracker/store/test-chunker systracker/store/test-chunks systracker/store/test-damage systracker/store/test-groups systracker/store/test-locate systracker/store/test-packages systracker/store/test-record \
	systracker/store/test-repack \
	systracker/store/test-store systracker/store/test-transfer
endif
