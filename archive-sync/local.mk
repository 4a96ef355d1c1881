# SPDX-License-Identifier: GPL-2.0-or-later
program_PROGRAMS += archive-sync/systracker-sync
archive_sync_systracker_sync_SOURCES = archive-sync/sync-main.c \
	archive-sync/archive.c archive-sync/archive.h \
	archive-sync/destination-directory.c archive-sync/destination-server.c archive-sync/destination.h \
	archive-sync/download.c archive-sync/download.h \
	archive-sync/ids.c archive-sync/ids.h \
	archive-sync/instance.c archive-sync/instance.h \
	archive-sync/join.c archive-sync/join.h \
	archive-sync/packagefiles.c archive-sync/packagefiles.h \
	archive-sync/pull.c archive-sync/pull.h \
	archive-sync/push.c archive-sync/push.h \
	archive-sync/recovery.c archive-sync/recovery.h \
	archive-sync/remote.c archive-sync/remote.h \
	archive-sync/remotestate.c archive-sync/remotestate.h \
	archive-sync/replica.c archive-sync/replica.h \
	archive-sync/signature.c archive-sync/signature.h \
	archive-sync/source-directory.c archive-sync/source-server.c archive-sync/source.h \
	archive-sync/upload-objects.c archive-sync/upload-packages.c archive-sync/upload.h \
	archive-sync/wire.c archive-sync/wire.h
archive_sync_systracker_sync_LDFLAGS = $(HOST_LINK)
archive_sync_systracker_sync_LDADD = libsystracker.la $(CURL_LIBS) $(GNUTLS_LIBS)

bin_PROGRAMS += archive-sync/systracker-archive
ACCESS_SOURCES = \
	archive-sync/instance.c archive-sync/instance.h \
	archive-sync/serve/access.c archive-sync/serve/access.h archive-sync/serve/access-inside.h \
	archive-sync/serve/access-enrol.c \
	archive-sync/serve/access-hosts.c \
	archive-sync/serve/access-login.c \
	archive-sync/serve/access-people.c \
	archive-sync/serve/access-session.c \
	archive-sync/serve/access-tokens.c \
	archive-sync/serve/guesses.c \
	archive-sync/serve/password.c
FLEET_SOURCES = \
	archive-sync/serve/fleet-file.c \
	archive-sync/serve/fleet-hosts.c \
	archive-sync/serve/fleet-internal.h \
	archive-sync/serve/fleet-learn.c \
	archive-sync/serve/fleet-names.c \
	archive-sync/serve/fleet-prune.c \
	archive-sync/serve/fleet-search.c archive-sync/serve/fleet-secret.c \
	archive-sync/serve/fleet.c archive-sync/serve/fleet.h
VIEW_SOURCES = \
	archive-sync/serve/view.c archive-sync/serve/view.h \
	archive-sync/serve/view-changes.c \
	archive-sync/serve/view-content.c \
	archive-sync/serve/view-internal.h \
	archive-sync/serve/view-packages.c \
	archive-sync/serve/view-path.c \
	archive-sync/serve/view-pool.c \
	archive-sync/serve/view-two.c \
	archive-sync/serve/view-unified.c
ARCHIVE_SOURCES = $(ACCESS_SOURCES) $(FLEET_SOURCES) $(VIEW_SOURCES) \
	archive-sync/administer.c archive-sync/administer.h \
	archive-sync/archive.c archive-sync/archive.h \
	archive-sync/access-verbs.c archive-sync/access-verbs.h \
	archive-sync/backup.c archive-sync/backup.h \
	archive-sync/cmd-approve.c \
	archive-sync/cmd-backup.c \
	archive-sync/cmd-gc.c \
	archive-sync/cmd-group.c \
	archive-sync/cmd-init.c \
	archive-sync/cmd-policy.c \
	archive-sync/cmd-prune.c \
	archive-sync/cmd-recovery.c \
	archive-sync/cmd-serve.c \
	archive-sync/cmd-token.c \
	archive-sync/cmd-user.c \
	archive-sync/expire.c archive-sync/expire.h \
	archive-sync/gc.c archive-sync/gc.h \
	archive-sync/join.c archive-sync/join.h \
	archive-sync/packagefiles.c archive-sync/packagefiles.h \
	archive-sync/policy.c archive-sync/policy.h \
	archive-sync/serve/access-request.c \
	archive-sync/serve/admit.c \
	archive-sync/serve/api-changes.c \
	archive-sync/serve/api-enrolment.c \
	archive-sync/serve/api-files.c \
	archive-sync/serve/api-hosts.c \
	archive-sync/serve/api-people.c \
	archive-sync/serve/api-search.c \
	archive-sync/serve/api-values.c \
	archive-sync/serve/api.c archive-sync/serve/api.h \
	archive-sync/serve/arrival.c archive-sync/serve/arrival.h \
	archive-sync/serve/chart.c \
	archive-sync/serve/client.c archive-sync/serve/client.h \
	archive-sync/serve/command.c archive-sync/serve/command.h \
	archive-sync/serve/commit.c \
	archive-sync/serve/committer.c archive-sync/serve/committer.h \
	archive-sync/serve/committer-internal.h \
	archive-sync/serve/fetch.c \
	archive-sync/serve/frame.c archive-sync/serve/frame.h \
	archive-sync/serve/hosts.c archive-sync/serve/hosts.h \
	archive-sync/serve/html.c archive-sync/serve/html.h \
	archive-sync/serve/http.c archive-sync/serve/http.h \
	archive-sync/serve/incoming.c archive-sync/serve/incoming.h \
	archive-sync/serve/listen.c archive-sync/serve/listen.h \
	archive-sync/serve/login.c \
	archive-sync/serve/metrics.c archive-sync/serve/metrics.h \
	archive-sync/serve/names.c archive-sync/serve/names.h \
	archive-sync/serve/night.c archive-sync/serve/night.h \
	archive-sync/serve/objects.c archive-sync/serve/objects.h \
	archive-sync/serve/operation.c \
	archive-sync/serve/options.h \
	archive-sync/serve/page.c archive-sync/serve/page.h \
	archive-sync/serve/page-admin.c \
	archive-sync/serve/page-administer.c \
	archive-sync/serve/page-changes.c \
	archive-sync/serve/page-checkpoint.c \
	archive-sync/serve/page-diff.c \
	archive-sync/serve/page-file.c \
	archive-sync/serve/page-host.c \
	archive-sync/serve/page-hosts.c \
	archive-sync/serve/page-packages.c \
	archive-sync/serve/page-search.c \
	archive-sync/serve/parallel.c archive-sync/serve/parallel.h \
	archive-sync/serve/privileges.c archive-sync/serve/privileges.h \
	archive-sync/serve/reply.c \
	archive-sync/serve/request.c archive-sync/serve/request.h \
	archive-sync/serve/requestlog.c archive-sync/serve/requestlog.h \
	archive-sync/serve/route.c archive-sync/serve/route.h \
	archive-sync/serve/server.c archive-sync/serve/server.h \
	archive-sync/serve/sent.c archive-sync/serve/sent.h \
	archive-sync/serve/sync.c archive-sync/serve/sync.h \
	archive-sync/serve/sync-packages.c \
	archive-sync/serve/style.c \
	archive-sync/serve/tls.c archive-sync/serve/tls.h \
	archive-sync/serve/transport.h \
	archive-sync/serve/unread.c archive-sync/serve/unread.h \
	archive-sync/serve/url.c archive-sync/serve/url.h \
	archive-sync/serve/worker.c archive-sync/serve/worker.h \
	archive-sync/signature.c archive-sync/signature.h \
	archive-sync/wire.c archive-sync/wire.h \
	systracker/commands/cmd-cat.c \
	systracker/commands/cmd-diff.c \
	systracker/commands/cmd-log.c \
	systracker/commands/cmd-show.c \
	systracker/commands/command.c systracker/commands/command.h \
	systracker/commands/keep.c
archive_sync_systracker_archive_SOURCES = archive-sync/archive-main.c $(ARCHIVE_SOURCES)
archive_sync_systracker_archive_LDADD = libsystracker.la \
	$(MHD_LIBS) $(GNUTLS_LIBS) $(ARGON2_LIBS) $(LIBGIT2_LIBS) $(CAP_LIBS)

# The style sheet becomes a string of the program.
EXTRA_DIST += archive-sync/serve/style.css
BUILT_SOURCES = archive-sync/serve/style.inc
CLEANFILES += archive-sync/serve/style.inc
archive-sync/serve/style.$(OBJEXT): archive-sync/serve/style.inc
archive-sync/serve/style.inc: archive-sync/serve/style.css
	$(AM_V_GEN)$(MKDIR_P) archive-sync/serve && \
	sed -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' \
	  $(srcdir)/archive-sync/serve/style.css >$@.new && mv $@.new $@

dist_man_MANS += archive-sync/systracker-archive.8 archive-sync/systracker-fetch.8 \
	archive-sync/systracker-sync.8

# sync and fetch are one program under two names, in the build tree too.
all-local: archive-sync/systracker-fetch
archive-sync/systracker-fetch: archive-sync/systracker-sync
	$(AM_V_GEN)cd archive-sync && rm -f systracker-fetch && $(LN_S) systracker-sync systracker-fetch
CLEANFILES += archive-sync/systracker-fetch
install-data-hook: install-systracker-fetch
install-systracker-fetch:
	mkdir -p $(DESTDIR)$(programdir)
	cd $(DESTDIR)$(programdir) && rm -f systracker-fetch && $(LN_S) systracker-sync systracker-fetch
uninstall-hook: uninstall-systracker-fetch
uninstall-systracker-fetch:
	rm -f $(DESTDIR)$(programdir)/systracker-fetch
.PHONY: install-systracker-fetch uninstall-systracker-fetch

if HAVE_CMOCKA
check_PROGRAMS += archive-sync/serve/test-fleet
archive_sync_serve_test_fleet_SOURCES = archive-sync/serve/test-fleet.c archive-sync/archive.c \
	archive-sync/expire.c $(FLEET_SOURCES)
TESTS += archive-sync/serve/test-fleet
check_PROGRAMS += archive-sync/test-archive
archive_sync_test_archive_SOURCES = archive-sync/test-archive.c archive-sync/archive.c
TESTS += archive-sync/test-archive
check_PROGRAMS += archive-sync/serve/test-html
archive_sync_serve_test_html_SOURCES = archive-sync/serve/test-html.c archive-sync/serve/html.c
TESTS += archive-sync/serve/test-html
check_PROGRAMS += archive-sync/serve/test-command
archive_sync_serve_test_command_SOURCES = archive-sync/serve/test-command.c \
	archive-sync/serve/command.c
TESTS += archive-sync/serve/test-command
check_PROGRAMS += archive-sync/serve/test-view
archive_sync_serve_test_view_SOURCES = archive-sync/serve/test-view.c archive-sync/archive.c \
	$(VIEW_SOURCES)
archive_sync_serve_test_view_LDADD = $(UNIT_LDADD) $(LIBGIT2_LIBS)
TESTS += archive-sync/serve/test-view
check_PROGRAMS += archive-sync/serve/test-access
archive_sync_serve_test_access_SOURCES = archive-sync/serve/test-access.c $(ACCESS_SOURCES) \
	archive-sync/signature.c
archive_sync_serve_test_access_LDADD = $(UNIT_LDADD) $(GNUTLS_LIBS) $(ARGON2_LIBS)
TESTS += archive-sync/serve/test-access
check_PROGRAMS += archive-sync/test-join
archive_sync_test_join_SOURCES = archive-sync/test-join.c archive-sync/join.c archive-sync/join.h \
	archive-sync/remotestate.c archive-sync/remotestate.h
TESTS += archive-sync/test-join
check_PROGRAMS += archive-sync/test-signature
archive_sync_test_signature_SOURCES = archive-sync/test-signature.c archive-sync/signature.c
archive_sync_test_signature_CFLAGS = $(UNIT_CFLAGS) $(GNUTLS_CFLAGS)
archive_sync_test_signature_LDADD = $(UNIT_LDADD) $(GNUTLS_LIBS)
TESTS += archive-sync/test-signature
check_PROGRAMS += archive-sync/test-wire
archive_sync_test_wire_SOURCES = archive-sync/test-wire.c archive-sync/wire.c archive-sync/wire.h
TESTS += archive-sync/test-wire
check_PROGRAMS += archive-sync/serve/test-commit
archive_sync_serve_test_commit_SOURCES = archive-sync/serve/test-commit.c archive-sync/archive.c \
	archive-sync/serve/arrival.c \
	archive-sync/serve/commit.c \
	archive-sync/serve/committer.c \
	$(FLEET_SOURCES) \
	archive-sync/serve/hosts.c \
	archive-sync/serve/objects.c \
	archive-sync/serve/parallel.c \
	archive-sync/serve/sent.c \
	archive-sync/wire.c
TESTS += archive-sync/serve/test-commit
check_PROGRAMS += archive-sync/serve/test-api-values
archive_sync_serve_test_api_values_SOURCES = archive-sync/serve/test-api-values.c \
	archive-sync/serve/api-values.c archive-sync/serve/url.c
TESTS += archive-sync/serve/test-api-values
check_PROGRAMS += archive-sync/serve/test-unread
archive_sync_serve_test_unread_SOURCES = archive-sync/serve/test-unread.c \
	archive-sync/serve/unread.c archive-sync/serve/unread.h
TESTS += archive-sync/serve/test-unread
check_PROGRAMS += archive-sync/serve/test-request archive-sync/serve/test-worker
archive_sync_serve_test_request_SOURCES = archive-sync/serve/test-request.c \
	archive-sync/serve/route.c archive-sync/serve/url.c
archive_sync_serve_test_worker_SOURCES = archive-sync/serve/test-worker.c \
	archive-sync/serve/worker.c
TESTS += archive-sync/serve/test-request archive-sync/serve/test-worker
endif
