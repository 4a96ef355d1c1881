# SPDX-License-Identifier: GPL-2.0-or-later
program_PROGRAMS += restore/systracker-restore
restore_systracker_restore_SOURCES = restore/main.c \
	restore/accountlines.c restore/accountlines.h \
	restore/accountphase.c restore/accountphase.h \
	restore/accounts.c restore/accounts.h \
	restore/apply.c restore/apply.h \
	restore/apt.c \
	restore/carriers.c restore/carriers.h \
	restore/chain.c restore/chain.h \
	restore/contents.c restore/contents.h \
	restore/flusher.c restore/flusher.h \
	restore/frompackages.c restore/frompackages.h \
	restore/gather.c restore/gather.h \
	restore/journal.c restore/journal.h \
	restore/links.c restore/links.h \
	restore/live.c restore/live.h \
	restore/locked.c restore/locked.h \
	restore/login.c restore/login.h \
	restore/manager.h \
	restore/notice.c restore/notice.h \
	restore/moves.c restore/moves.h \
	restore/moving.c restore/moving.h \
	restore/packages.c restore/packages.h \
	restore/packageset.c restore/packageset.h \
	restore/phases.c restore/phases.h \
	restore/places.c restore/places.h \
	restore/plan.c restore/plan.h \
	restore/pouring.c restore/pouring.h \
	restore/preflight.c restore/preflight.h \
	restore/repairs.c restore/repairs.h \
	restore/put.c restore/put.h \
	restore/report.c restore/report.h \
	restore/repository.c restore/repository.h \
	restore/rpm.c \
	restore/rpmtool.c restore/rpmtool.h \
	restore/run.c restore/run.h \
	restore/session.c restore/session.h \
	restore/signals.c restore/signals.h \
	restore/sources.c restore/sources.h \
	restore/stage.c restore/stage.h restore/stage-internal.h \
	restore/staged.c restore/staged.h \
	restore/state.c restore/state.h \
	restore/tools.c restore/tools.h \
	restore/units.c restore/units.h \
	restore/workers.c restore/workers.h \
	restore/world.c restore/world.h
restore_systracker_restore_LDFLAGS = $(HOST_LINK)
restore_systracker_restore_LDADD = libsystracker.la

dist_man_MANS += restore/systracker-restore.8 restore/systracker-undo.8

# restore and undo are one program under two names, in the build tree too.
all-local: restore/systracker-undo
restore/systracker-undo: restore/systracker-restore
	$(AM_V_GEN)cd restore && rm -f systracker-undo && $(LN_S) systracker-restore systracker-undo
CLEANFILES += restore/systracker-undo
install-data-hook: install-systracker-undo
install-systracker-undo:
	cd $(DESTDIR)$(programdir) && rm -f systracker-undo && $(LN_S) systracker-restore systracker-undo
uninstall-hook: uninstall-systracker-undo
uninstall-systracker-undo:
	rm -f $(DESTDIR)$(programdir)/systracker-undo
.PHONY: install-systracker-undo uninstall-systracker-undo

if HAVE_CMOCKA
check_PROGRAMS += restore/test-accounts restore/test-flusher restore/test-plan restore/test-journal \
	restore/test-login restore/test-packageset restore/test-places restore/test-repository \
	restore/test-units
restore_test_accounts_SOURCES = restore/test-accounts.c restore/accountlines.c \
	restore/accounts.c restore/moves.c
restore_test_flusher_SOURCES = restore/test-flusher.c restore/flusher.c
restore_test_places_SOURCES = restore/test-places.c restore/contents.c restore/places.c \
	restore/signals.c systracker/store/test-scratch.h
restore_test_plan_SOURCES = restore/test-plan.c restore/plan.c restore/state.c
restore_test_journal_SOURCES = restore/test-journal.c restore/journal.c \
	restore/accounts.c restore/moves.c \
	restore/packageset.c restore/plan.c restore/staged.c restore/state.c
restore_test_login_SOURCES = restore/test-login.c restore/login.c
restore_test_packageset_SOURCES = restore/test-packageset.c restore/packageset.c
restore_test_repository_SOURCES = restore/test-repository.c restore/repository.c
restore_test_units_SOURCES = restore/test-units.c restore/units.c
TESTS += restore/test-accounts restore/test-flusher restore/test-plan restore/test-journal \
	restore/test-login restore/test-packageset restore/test-places restore/test-repository restore/test-units
endif

RESTORE_TESTS = restore/test-restore.sh restore/test-restore-behind.sh restore/test-restore-faults.sh \
	restore/test-restore-stage.sh
TESTS += $(RESTORE_TESTS)
EXTRA_DIST += $(RESTORE_TESTS)
