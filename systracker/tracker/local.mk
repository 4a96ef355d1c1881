# SPDX-License-Identifier: GPL-2.0-or-later
libsystracker_la_SOURCES += \
	systracker/tracker/capture.c systracker/tracker/capture.h \
	systracker/tracker/checkpoint.c \
	systracker/tracker/collect.c \
	systracker/tracker/content.c \
	systracker/tracker/context.c \
	systracker/tracker/core.c systracker/tracker/core.h \
	systracker/tracker/facts.c systracker/tracker/facts.h \
	systracker/tracker/host.c systracker/tracker/host.h \
	systracker/tracker/deb.c systracker/tracker/deb.h \
	systracker/tracker/inscope.c systracker/tracker/inscope.h \
	systracker/tracker/installed.c systracker/tracker/installed.h \
	systracker/tracker/packagecontent.c systracker/tracker/packagecontent.h \
	systracker/tracker/packaged.c systracker/tracker/packaged.h \
	systracker/tracker/packagedtexts.c \
	systracker/tracker/packagefetch.c systracker/tracker/packagefetch.h \
	systracker/tracker/packagefile.c systracker/tracker/packagefile.h \
	systracker/tracker/observe.c systracker/tracker/observe.h \
	systracker/tracker/pathfacts.c systracker/tracker/pathfacts.h \
	systracker/tracker/plan.c systracker/tracker/plan.h \
	systracker/tracker/prove.c \
	systracker/tracker/rpmrequest.c systracker/tracker/rpmrequest.h \
	systracker/tracker/rebuild.h systracker/tracker/rebuilddeb.c systracker/tracker/rebuildrpm.c \
	systracker/tracker/rules.c systracker/tracker/rules.h \
	systracker/tracker/sealed.c systracker/tracker/sealed.h \
	systracker/tracker/sweep.c systracker/tracker/sweep.h \
	systracker/tracker/tracker.c systracker/tracker/tracker.h \
	systracker/tracker/transaction.c systracker/tracker/transaction.h \
	systracker/tracker/wanted.c systracker/tracker/wanted.h

EXTRA_DIST += systracker/tracker/host.syms

libsystracker_la_SOURCES += \
	systracker/tracker/cli.c systracker/tracker/cli.h \
	systracker/tracker/render.c systracker/tracker/render.h \
	systracker/tracker/render-deviations.c \
	systracker/tracker/render-group.c \
	systracker/tracker/render-history.c \
	systracker/tracker/render-internal.h \
	systracker/tracker/render-json.c \
	systracker/tracker/render-package.c \
	systracker/tracker/render-patch.c \
	systracker/tracker/render-words.c

if HAVE_CMOCKA
TRACKER_TESTS = \
	systracker/tracker/test-cli \
	systracker/tracker/test-transaction \
	systracker/tracker/test-packagecontent \
	systracker/tracker/test-prove \
	systracker/tracker/test-rpmrequest \
	systracker/tracker/test-render
check_PROGRAMS += $(TRACKER_TESTS)
TESTS += $(TRACKER_TESTS)
systracker_tracker_test_cli_SOURCES = systracker/tracker/test-cli.c
systracker_tracker_test_packagecontent_SOURCES = systracker/tracker/test-packagecontent.c
systracker_tracker_test_packagecontent_LDADD = $(UNIT_LDADD) $(LIBARCHIVE_LIBS)
systracker_tracker_test_prove_SOURCES = systracker/tracker/test-prove.c \
	systracker/base/test-scratch.h
systracker_tracker_test_prove_LDADD = $(UNIT_LDADD) $(GCRYPT_LIBS)
systracker_tracker_test_rpmrequest_SOURCES = systracker/tracker/test-rpmrequest.c
systracker_tracker_test_render_SOURCES = systracker/tracker/test-render.c
systracker_tracker_test_transaction_SOURCES = systracker/tracker/test-transaction.c
endif

EXTRA_DIST += doc/json.md
