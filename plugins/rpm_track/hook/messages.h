/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * messages.h - what rpm's plug-in (plugin.c) says to systracker-rpm-hook (hook.c), which it starts.
 *
 * They speak over a socket of type SOCK_SEQPACKET, the hook's standard input; one message is a
 * letter and a NUL, then three texts, each with a NUL behind it: name, [EPOCH:]VERSION-RELEASE,
 * architecture.  With PACKAGE goes the package file's descriptor.  At the end the plug-in shuts its
 * side for writing; the hook's closing its own says that all is kept.
 */
#ifndef ST_RPM_HOOK_MESSAGES_H
#define ST_RPM_HOOK_MESSAGES_H

#define MESSAGE_PACKAGE 'P' /* is being installed from this file */
#define MESSAGE_UNSEEN 'U'  /* was installed, and no file of it was seen */
#define MESSAGE_MAX 4096
#define MESSAGE_TEXTS 3

#endif
