# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/catalog/ahead.c \
	systracker/catalog/apply.c \
	systracker/catalog/baseline.c \
	systracker/catalog/began.c \
	systracker/catalog/beside.c systracker/catalog/beside.h \
	systracker/catalog/catalog.c systracker/catalog/catalog.h \
	systracker/catalog/chain.c \
	systracker/catalog/changeset.c systracker/catalog/changeset.h \
	systracker/catalog/checkpoint.c \
	systracker/catalog/commit.c \
	systracker/catalog/declared.c \
	systracker/catalog/difference.c \
	systracker/catalog/expectations.c \
	systracker/catalog/expected.c \
	systracker/catalog/fact.c \
	systracker/catalog/first.c \
	systracker/catalog/gap.c \
	systracker/catalog/gone.c \
	systracker/catalog/header.c \
	systracker/catalog/internal.h \
	systracker/catalog/known.c \
	systracker/catalog/manifest.c \
	systracker/catalog/object.c \
	systracker/catalog/owner.c \
	systracker/catalog/prune.c systracker/catalog/prune.h \
	systracker/catalog/raise.c \
	systracker/catalog/readahead.c \
	systracker/catalog/repeated.c \
	systracker/catalog/row.c \
	systracker/catalog/scan.c \
	systracker/catalog/snapshot.c systracker/catalog/snapshot.h \
	systracker/catalog/sql.c \
	systracker/catalog/state.c \
	systracker/catalog/table.c \
	systracker/catalog/tree.c \
	systracker/catalog/verify.c \
	systracker/catalog/view.c

if HAVE_CMOCKA
CATALOG_TESTS = \
	systracker/catalog/test-catalog \
	systracker/catalog/test-expected \
	systracker/catalog/test-readahead \
	systracker/catalog/test-checkpoint \
	systracker/catalog/test-state \
	systracker/catalog/test-chain \
	systracker/catalog/test-changeset \
	systracker/catalog/test-apply \
	systracker/catalog/test-prune \
	systracker/catalog/test-repeated \
	systracker/catalog/test-first \
	systracker/catalog/test-began \
	systracker/catalog/test-gone \
	systracker/catalog/test-snapshot
check_PROGRAMS += $(CATALOG_TESTS)
TESTS += $(CATALOG_TESTS)
systracker_catalog_test_catalog_SOURCES = systracker/catalog/test-catalog.c \
	systracker/catalog/test-support.h
systracker_catalog_test_expected_SOURCES = systracker/catalog/test-expected.c \
	systracker/catalog/test-support.h
systracker_catalog_test_readahead_SOURCES = systracker/catalog/test-readahead.c \
	systracker/catalog/test-support.h
systracker_catalog_test_checkpoint_SOURCES = systracker/catalog/test-checkpoint.c \
	systracker/catalog/test-support.h
systracker_catalog_test_first_SOURCES = systracker/catalog/test-first.c \
	systracker/catalog/test-support.h
systracker_catalog_test_began_SOURCES = systracker/catalog/test-began.c \
	systracker/catalog/test-support.h
systracker_catalog_test_gone_SOURCES = systracker/catalog/test-gone.c \
	systracker/catalog/test-support.h
systracker_catalog_test_repeated_SOURCES = systracker/catalog/test-repeated.c \
	systracker/catalog/test-support.h
systracker_catalog_test_state_SOURCES = systracker/catalog/test-state.c \
	systracker/catalog/test-support.h
systracker_catalog_test_chain_SOURCES = systracker/catalog/test-chain.c \
	systracker/catalog/test-support.h
systracker_catalog_test_changeset_SOURCES = systracker/catalog/test-changeset.c \
	systracker/catalog/test-support.h
systracker_catalog_test_apply_SOURCES = systracker/catalog/test-apply.c \
	systracker/catalog/test-support.h systracker/catalog/test-two.h
systracker_catalog_test_prune_SOURCES = systracker/catalog/test-prune.c \
	systracker/catalog/test-support.h systracker/catalog/test-two.h
systracker_catalog_test_snapshot_SOURCES = systracker/catalog/test-snapshot.c \
	systracker/catalog/test-support.h systracker/catalog/test-two.h
endif
