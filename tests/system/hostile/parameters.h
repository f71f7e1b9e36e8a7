/*
 * Transport parameters (RFC 9000, 18.2) that no library would announce. What ngtcp2 encodes is
 * edited on its way to TLS: the functions here have the names of ngtcp2's and stand in front of
 * them, since a program's own symbols come before those of its libraries. For one kind the client's
 * connection id is taken away; what then comes to no id is led back to that connection, for which
 * lsp_cid_table_find must be wrapped at linking.
 *
 * One kind and one thread a process, and, of the kind without an id, one connection of it.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum parameters_side { PARAMETERS_CLIENT, PARAMETERS_SERVER, PARAMETERS_BOTH };

struct parameters_case {
	const char *name;
	enum parameters_side side;                 /* whose they may be */
	enum { REFUSED, SERVED, EITHER } expected; /* by the RFC */
	/* What to do with the parameter, and the bytes in its place (hexadecimal). */
	enum { REPLACE, REMOVE, TWICE, CUT, MANY, NO_ID, PREFERRED_ADDRESS } edit;
	uint64_t id;
	uint64_t number; /* for REPLACE without `hex` */
	const char *hex;
};

extern const struct parameters_case parameters_cases[];
extern const size_t parameters_count;

/* From now on the connections that this process makes or takes; NULL: as ngtcp2 has it. */
void parameters_use(const struct parameters_case *kind, enum parameters_side side);
/* By its name, or NULL. */
const struct parameters_case *parameters_find(const char *name);
/* Where PREFERRED_ADDRESS leads. */
void parameters_set_bait(const struct sockaddr_in *bait);
/* How often an edited set was announced. */
unsigned parameters_announced(void);
