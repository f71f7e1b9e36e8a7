/*
 * The engine's configuration: from what a person writes to the session's settings.
 *
 * A configuration is a JSON object (docs/torrent.md, "Configuration"). It is checked as a whole,
 * by name, kind and range; an unknown key is an error, since a switch that is misspelt and silently
 * off would tell the outside what its user did not want told. What is absent has its default.
 *
 * Pure. A parsed configuration owns what it holds; one owner, one thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "torrent/shim.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LSP_CONFIGURATION_SETTINGS_MAX 64
#define LSP_CONFIGURATION_RANGES_MAX 65536
#define LSP_CONFIGURATION_HOST_MAX 253 /* bytes of a name, or an address */
#define LSP_TORRENT_PORT 47778         /* TCP, and UDP where µTP or the DHT are on */

struct lsp_configuration {
	json_t *json; /* as it was given; owned */
	struct lsp_shim_setting settings[LSP_CONFIGURATION_SETTINGS_MAX];
	size_t count;
	const char *(*ranges)[2]; /* of addresses that are blocked */
	size_t range_count;
	const json_t *dht_nodes;           /* "host:port" */
	bool limit_lan;                    /* limits are for peers of the LAN too */
	bool pex;                          /* off: for no torrent */
	uint32_t max_download, max_upload; /* bytes a second; 0 none */
	uint64_t save_interval;            /* nanoseconds; 0: as the engine has it */
	struct {
		bool on; /* there is a schedule, or it is forced */
		bool forced;
		uint32_t max_download, max_upload;
		uint16_t from, to; /* minutes since midnight, local time; from == to: all day */
		uint8_t days;      /* bit 0 is Sunday, as in struct tm: the day it begins */
	} alternative;
	char *texts; /* what the settings point into, owned */
};

/* json NULL: the defaults. Copies it. -LSP_E_INVALID. */
LSP_MUST_CHECK int lsp_configuration_parse(
	const json_t *json, struct lsp_configuration *ret_configuration, struct lsp_error *err);
void lsp_configuration_done(struct lsp_configuration *configuration);
#define _cleanup_configuration_ _cleanup_(lsp_configuration_done)

/* Has it that switch of the library's, turned on? */
bool lsp_configuration_is_on(const struct lsp_configuration *configuration, const char *name);
/* Is a router asked for a port, in whichever way? */
bool lsp_configuration_maps_ports(const struct lsp_configuration *configuration);
/* Its port, and its host as the library wants it, an IPv6 address without the brackets; 0: none. */
uint16_t lsp_configuration_node(const char *node, char ret_host[LSP_CONFIGURATION_HOST_MAX + 1]);

/* The limits that are in effect at this local time. wall: nanoseconds since 1970. */
void lsp_configuration_limits(const struct lsp_configuration *configuration, uint64_t wall,
	uint32_t *ret_max_download, uint32_t *ret_max_upload);
