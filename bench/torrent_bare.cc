#include "torrent/shim_private.h"

#include <libtorrent/alert_types.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>

extern "C" {
#include "torrent_bare.h"
}

namespace
{

template <class Alert> void await(lt::session &session)
{
	for (;;) {
		std::vector<lt::alert *> alerts;
		session.wait_for_alert(std::chrono::minutes(5));
		session.pop_alerts(&alerts);
		for (auto *alert : alerts)
			if (lt::alert_cast<Alert>(alert))
				return;
		if (alerts.empty()) {
			std::fputs("bench-torrent: bare libtorrent does not get on\n", stderr);
			std::exit(1);
		}
	}
}

} // namespace

unsigned long long bench_bare(
	lsp_shim_setting const *settings, std::size_t count, bench_end const *end)
{
	auto const begun = std::chrono::steady_clock::now();
	lt::settings_pack pack = shim::pack_of(settings, count);
	pack.set_int(lt::settings_pack::alert_mask,
		lt::alert_category::error | lt::alert_category::status);
	lt::session session(lt::session_params(std::move(pack)));
	await<lt::listen_succeeded_alert>(session);
	lt::add_torrent_params params = lt::load_torrent_file(end->torrent);
	params.save_path = end->folder;
	params.flags = {};
	if (end->peer)
		params.peers.push_back(shim::endpoint_of(end->peer));
	else
		params.have_pieces.resize(params.ti->num_pieces(), true);
	session.add_torrent(std::move(params));
	if (!end->peer)
		bench_seed();
	await<lt::torrent_finished_alert>(session);
	return std::chrono::nanoseconds(std::chrono::steady_clock::now() - begun).count();
}
