/*
 * The rest of the double: starting, serving, stopping. lanspread_start gives the peer that the test
 * has prepared; what the test sets is what the daemon is told.
 */
#pragma once

#include "fake_peer.h"

struct fake_start {
	struct lanspread *peer; /* what lanspread_start gives; NULL: it fails with `code` */
	int code;
	const char *message;
	struct lanspread_options options; /* what it was given; its texts are the caller's */
	const char *peers[8];
	const char *control;       /* what the control socket was asked to be */
	char http_listen[64];      /* where the page was asked to be; "": nowhere named */
	const char *http_url;      /* what serving the page gives; NULL: unsupported */
	struct lanspread_exit how; /* what stopping gives */
	int stop_code;             /* not 0: it does not stop in time */
	int shutdowns, frees;
};

extern struct fake_start fake_start;
