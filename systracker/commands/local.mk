# SPDX-License-Identifier: GPL-2.0-or-later
bin_PROGRAMS += systracker/commands/systracker
systracker_commands_systracker_SOURCES = \
	systracker/commands/cmd-cat.c \
	systracker/commands/cmd-check-config.c \
	systracker/commands/cmd-checkpoint.c \
	systracker/commands/cmd-coverage.c \
	systracker/commands/cmd-diff.c \
	systracker/commands/cmd-explain.c \
	systracker/commands/cmd-log.c \
	systracker/commands/cmd-prune.c \
	systracker/commands/cmd-show.c \
	systracker/commands/cmd-status.c \
	systracker/commands/cmd-tag.c \
	systracker/commands/cmd-verify.c \
	systracker/commands/command.c systracker/commands/command.h \
	systracker/commands/keep.c \
	systracker/commands/main.c
systracker_commands_systracker_LDADD = libsystracker.la
systracker_commands_systracker_LDFLAGS = $(HOST_LINK)

# The files of packages.
program_PROGRAMS += systracker/commands/packages/systracker-packages
systracker_commands_packages_systracker_packages_SOURCES = \
	systracker/commands/packages/main.c
systracker_commands_packages_systracker_packages_LDADD = libsystracker.la
systracker_commands_packages_systracker_packages_LDFLAGS = $(HOST_LINK)
dist_man_MANS += systracker/commands/packages/systracker-packages.8
