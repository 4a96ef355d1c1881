# SPDX-License-Identifier: GPL-2.0-or-later
# End-to-end tests.  They run the tree that `make install` gives, staged below the build folder.

stage = $(abs_builddir)/stage

SHELL_TESTS = \
	tests/test-access.sh \
	tests/test-access-server.sh \
	tests/test-api.sh \
	tests/test-archive.sh \
	tests/test-archive-backup.sh \
	tests/test-archive-full.sh \
	tests/test-archive-prune.sh \
	tests/test-bad-input.sh \
	tests/test-bootstrap.sh \
	tests/test-changing-files.sh \
	tests/test-checkpoint.sh \
	tests/test-damage.sh \
	tests/test-deviations-view.sh \
	tests/test-diff.sh \
	tests/test-empty-packages.sh \
	tests/test-expected.sh \
	tests/test-fetch.sh \
	tests/test-full-disk.sh \
	tests/test-hard-links.sh \
	tests/test-hostile-server.sh \
	tests/test-in-scope.sh \
	tests/test-install.sh \
	tests/test-json.sh \
	tests/test-json-doc.sh \
	tests/test-large-files.sh \
	tests/test-lock.sh \
	tests/test-look.sh \
	tests/test-manual.sh \
	tests/test-metadata.sh \
	tests/test-missing-mount.sh \
	tests/test-names.sh \
	tests/test-packaged.sh \
	tests/test-package-content.sh \
	tests/test-package-diff.sh \
	tests/test-package-restore.sh \
	tests/test-packages.sh \
	tests/test-page.sh \
	tests/test-plugin-abi.sh \
	tests/test-plugin-fails.sh \
	tests/test-prune.sh \
	tests/test-quickstart.sh \
	tests/test-recovery.sh \
	tests/test-refill.sh \
	tests/test-recovery-keys.sh \
	tests/test-remote.sh \
	tests/test-restart.sh \
	tests/test-restore.sh \
	tests/test-rollback.sh \
	tests/test-secret.sh \
	tests/test-secret-later.sh \
	tests/test-serve.sh \
	tests/test-serve-sync.sh \
	tests/test-serve-busy.sh \
	tests/test-serve-unread.sh \
	tests/test-no-core.sh \
	tests/test-server-full.sh \
	tests/test-sync-clock.sh \
	tests/test-store-fixture.sh \
	tests/test-sweep.sh \
	tests/test-sync.sh \
	tests/test-torture.sh \
	tests/test-unprivileged.sh \
	tests/test-unreadable.sh

# Faults, real systems, lints: `make check-real`.  Those that take long come first, and with them one of
# each kind of root, which the others wait for where it is not made yet.
REAL_TESTS = \
	tests/real/test-dead-disk.sh \
	tests/real/test-rpm-track.sh \
	tests/real/test-kill.sh \
	tests/real/lint-scripts.sh \
	tests/real/test-manifests.sh \
	tests/real/test-nights.sh \
	tests/real/test-sync-kill.sh \
	tests/real/test-prune-kill.sh \
	tests/real/test-three-hosts.sh \
	tests/real/test-packaged-debian.sh \
	tests/real/test-accounts.sh \
	tests/real/test-large-300.sh \
	tests/real/test-rpm-kill.sh \
	tests/real/test-archive-kill.sh \
	tests/real/test-deviations.sh \
	tests/real/test-browser.sh \
	tests/real/test-packages-restore.sh \
	tests/real/test-archive-night.sh \
	tests/real/test-package-files.sh \
	tests/real/test-nightly.sh \
	tests/real/test-package-sources.sh \
	tests/real/test-rpm-restore.sh \
	tests/real/test-packages-refused.sh \
	tests/real/test-bench.sh \
	tests/real/lint-automake.sh \
	tests/real/lint-format.sh \
	tests/real/lint-man.sh \
	tests/real/test-openapi.sh \
	tests/real/test-damaged-objects.sh \
	tests/real/test-debian.sh \
	tests/real/test-dpkg-state.sh \
	tests/real/test-fleet.sh \
	tests/real/test-flood.sh \
	tests/real/test-kill-first.sh \
	tests/real/test-packages-keep.sh \
	tests/real/test-readme-disk.sh \
	tests/real/test-rpm-keep.sh \
	tests/real/test-repack.sh \
	tests/real/test-rpm-refused.sh \
	tests/real/test-rpm-capture.sh \
	tests/real/test-rpm-fetch.sh \
	tests/real/test-packaged-rpm.sh \
	tests/real/test-readme.sh \
	tests/real/test-serve-kill.sh \
	tests/real/test-transaction-message.sh \
	tests/real/test-two-roots.sh

TESTS += $(SHELL_TESTS)

# What tests look into an archive with.
check_PROGRAMS += tests/dump-archive
tests_dump_archive_SOURCES = tests/dump-archive.c archive-sync/archive.c
tests_dump_archive_LDADD = libsystracker.la

# What a host says to a server, piece by piece.
check_PROGRAMS += tests/host-client
tests_host_client_SOURCES = tests/host-client.c archive-sync/signature.c archive-sync/wire.c
tests_host_client_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_host_client_LDADD = libsystracker.la $(GNUTLS_LIBS)

# A clock that is off, for LD_PRELOAD.
check_LTLIBRARIES += tests/clock.la
tests_clock_la_SOURCES = tests/clock.c
tests_clock_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere

# All that a tree holds, told without any code of ours.
check_PROGRAMS += tests/list-tree
tests_list_tree_SOURCES = tests/list-tree.c
tests_list_tree_CPPFLAGS = $(GCRYPT_CFLAGS)
tests_list_tree_LDADD = $(GCRYPT_LIBS)
# What the archive's server answers.
check_PROGRAMS += tests/list-routes
tests_list_routes_SOURCES = tests/list-routes.c $(ARCHIVE_SOURCES)
tests_list_routes_LDADD = $(archive_sync_systracker_archive_LDADD)

EXTRA_DIST += $(SHELL_TESTS) $(REAL_TESTS) tests/functions.sh tests/in-scratch.sh tests/archived.sh tests/remote.sh tests/served.sh \
	tests/browser/checks.js tests/browser/node.sh tests/browser/schemas.js tests/browser/walk.js \
	tests/browser/package.json tests/browser/package-lock.json doc/openapi.yaml \
	doc/screenshots/checkpoint.png doc/screenshots/diff.png doc/screenshots/diff-split-dark.png \
	doc/screenshots/host.png doc/screenshots/hosts.png doc/screenshots/hosts-dark.png \
	doc/screenshots/hosts-narrow.png doc/screenshots/packages.png doc/screenshots/search.png \
	doc/screenshots/two-hosts.png \
	tests/quickstart.sh tests/rpm-lab.sh tests/real/debian.sh tests/real/toys.sh \
	tests/fixtures/expecting.c tests/fixtures/failing.c tests/fixtures/foreign.c tests/fixtures/meddling.c \
	tests/fixtures/packaging.c tests/packaging.sh \
	tests/fixtures/make-store.sh tests/fixtures/store-1.tar.xz \
	tests/fixtures/store-2.tar.xz \
	tests/fixtures/lab-1.asc tests/fixtures/lab-2.asc \
	GNUmakefile bootstrap .ci/run .clang-format

TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = /bin/sh
LOG_COMPILER = /bin/sh $(top_srcdir)/tests/in-scratch.sh
AM_TESTS_ENVIRONMENT = \
	ST_SOURCE='$(abs_top_srcdir)' ST_BUILD='$(abs_builddir)' ST_STAGE='$(stage)' \
	ST_SYSTRACKER='$(stage)$(bindir)/systracker' \
	ST_CONFIG='$(stage)$(confdir)/systracker.conf' \
	ST_MANDIR='$(stage)$(mandir)' ST_INCLUDEDIR='$(stage)$(includedir)' \
	ST_UNITDIR='$(stage)$(systemdsystemunitdir)' \
	ST_SYSCONFDIR='$(stage)$(sysconfdir)' ST_BINDIR='$(bindir)' ST_CC='$(CC)' \
	ST_SANITIZERS='$(enable_sanitizers)' \
	ST_CACHE="$${ST_CACHE:-$(abs_top_srcdir)/.cache}"; \
	export ST_SOURCE ST_BUILD ST_STAGE ST_SYSTRACKER ST_CONFIG ST_MANDIR ST_INCLUDEDIR \
		ST_UNITDIR ST_SYSCONFDIR ST_BINDIR ST_CC ST_SANITIZERS ST_CACHE;

# Staged anew before each run, so that what is tested is what is installed.
check_DATA = stage/done
stage/done: stage-tree
.PHONY: stage-tree
stage-tree: all-am
	@rm -rf stage && mkdir stage
	@$(MAKE) $(AM_MAKEFLAGS) install DESTDIR='$(stage)' >stage.log 2>&1 || \
		{ cat stage.log >&2; exit 1; }
	@touch stage/done

clean-local:
	rm -rf stage stage.log bench

# Everything in a build of its own under ASan and UBSan, warnings as errors.
asan = $(abs_top_srcdir)/build-asan

.PHONY: quickstart
quickstart: stage-tree
	@$(AM_TESTS_ENVIRONMENT) /bin/sh '$(top_srcdir)/tests/quickstart.sh'

# Pictures of the pages, for doc/.
.PHONY: screenshots
screenshots: stage-tree $(check_PROGRAMS)
	@SCREENSHOTS='$(abs_top_srcdir)/doc/screenshots'; export SCREENSHOTS; \
	$(AM_TESTS_ENVIRONMENT) /bin/sh '$(top_srcdir)/tests/real/test-browser.sh'

# Parts that have nothing to do with each other: beside each other as far as -j allows, and each to its
# end, whatever fails in another.
.PHONY: check-real check-real-parts check-roots check-sanitizers check-threads
check-real: all-am $(check_PROGRAMS) $(check_LTLIBRARIES) \
		tests/bench/corpus tests/bench/fleet/fleet-simulator tests/bench/floor tests/bench/hold \
		tests/bench/measure tests/bench/report
	@$(MAKE) $(AM_MAKEFLAGS) -k check-real-parts
check-real-parts: check-roots check-sanitizers check-threads check-fuzz

check-roots:
	@$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(REAL_TESTS)' TEST_SUITE_LOG=real-suite.log

check-sanitizers:
	@if test -e '$(abs_top_srcdir)/config.status'; then \
		echo 'SKIP: check-sanitizers: the source folder is configured in place; run make distclean'; \
	else \
		mkdir -p '$(asan)' && cd '$(asan)' && \
		{ test -e Makefile || '$(abs_top_srcdir)/configure' --quiet \
			--enable-sanitizers --enable-werror CFLAGS='-O1 -g'; } && \
		$(MAKE) $(AM_MAKEFLAGS) check; \
	fi

# What runs in threads, in a build of its own under TSan.
tsan = $(abs_top_srcdir)/build-tsan
tsan_tests = archive-sync/serve/test-commit systracker/scan/test-walk systracker/scan/test-walk-again \
	systracker/scan/test-walk-large systracker/scan/test-walk-ring systracker/catalog/test-first \
	archive-sync/serve/test-worker

check-threads:
	@if test -e '$(abs_top_srcdir)/config.status'; then \
		echo 'SKIP: check-threads: the source folder is configured in place; run make distclean'; \
	else \
		mkdir -p '$(tsan)' && cd '$(tsan)' && \
		{ test -e Makefile || '$(abs_top_srcdir)/configure' --quiet \
			--enable-sanitizers=thread --enable-werror CFLAGS='-O1 -g'; } && \
		$(MAKE) $(AM_MAKEFLAGS) -k $(tsan_tests:%=%.run-threads); \
	fi
.PHONY: $(tsan_tests:%=%.run-threads)
$(tsan_tests:%=%.run-threads): %.run-threads: %
	@TSAN_OPTIONS=halt_on_error=1 $(LOG_COMPILER) ./$<
