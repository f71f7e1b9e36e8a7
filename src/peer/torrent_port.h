/*
 * Which port a peer is told to find our torrent engine at.
 *
 * The engine listens at each address of this machine by itself. Where a port is taken at one of
 * them by another program, it has another port there than at the rest; so who comes by IPv4 may
 * have to dial another port than who comes by IPv6.
 *
 * Pure; from every thread. `listen` is an array of "ADDRESS:PORT", as the engine's inspect gives.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * The port for a peer that is connected from there: that of an address of the same family, of
 * loopback for who is on this machine, never of loopback for who is not. A peer with a link-local
 * address dials us at another that it knows (lsp_session_torrent_address): the first port that is
 * no link-local address's. 0: there is none.
 */
uint16_t lsp_torrent_port_for(const json_t *listen, const struct sockaddr_storage *peer);
/* The one that is shown: of the first address that is not loopback, else of the first. 0: none. */
uint16_t lsp_torrent_port_shown(const json_t *listen);
