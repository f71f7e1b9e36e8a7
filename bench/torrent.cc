/*
 * The torrent engine beside the same libtorrent without it.
 *
 *     bench-torrent transfer FOLDER [MIB [RUNS]]   one seed, one leech, over loopback, in turn:
 * bare libtorrent, the engine; wall and CPU of both bench-torrent idle FOLDER [TORRENTS [SECONDS]]
 * start with so many stored torrents, then idle
 *
 * Each line is a JSON object. Ratios count; figures of two runs on a shared machine do not. The
 * bare session has the engine's settings, so that what is compared is the worker around it.
 */
#include "torrent/shim_private.h"

#include <libtorrent/alert_types.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <sys/resource.h>
#include <vector>

extern "C" {
#include "torrent_engine.h"
}

namespace fs = std::filesystem;
using lt::settings_pack;

namespace
{

[[noreturn]] void fail(std::string const &what)
{
	std::fprintf(stderr, "bench-torrent: %s\n", what.c_str());
	std::exit(1);
}

double cpu_seconds()
{
	rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double wall_seconds()
{
	return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
		.count();
}

/* A folder with one file, and its .torrent. */
std::vector<char> make_content(fs::path const &folder, std::size_t mib)
{
	fs::create_directories(folder / "game");
	std::ofstream file(folder / "game" / "data.bin", std::ios::binary);
	std::vector<std::uint64_t> block(1 << 17);
	std::uint64_t state = 88172645463325252u;
	for (std::size_t i = 0; i < mib; i++) {
		for (auto &word : block) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			word = state;
		}
		file.write(reinterpret_cast<char const *>(block.data()), 1 << 20);
	}
	file.write("!", 1); /* a second piece length's worth of nothing special */
	file.close();
	std::ofstream(folder / "game" / "version.ini") << "20240101\n";
	lt::file_storage files;
	lt::add_files(files, (folder / "game").string());
	lt::create_torrent torrent(files, 2 << 20, lt::create_torrent::v2_only);
	lt::set_piece_hashes(torrent, folder.string());
	return torrent.generate_buf();
}

/* ---- Bare libtorrent --------------------------------------------------------------------- */

lt::session bare_session(settings_pack pack)
{
	pack.set_int(
		settings_pack::alert_mask, lt::alert_category::error | lt::alert_category::status);
	return lt::session(lt::session_params(std::move(pack)));
}

settings_pack bare_settings()
{
	settings_pack pack;
	pack.set_str(settings_pack::listen_interfaces, "127.0.0.1:0");
	for (int off : {settings_pack::enable_dht, settings_pack::enable_lsd,
		     settings_pack::enable_upnp, settings_pack::enable_natpmp,
		     settings_pack::enable_incoming_utp, settings_pack::enable_outgoing_utp})
		pack.set_bool(off, false);
	pack.set_int(settings_pack::out_enc_policy, settings_pack::pe_disabled);
	pack.set_int(settings_pack::unchoke_slots_limit, 16);
	pack.set_int(settings_pack::connections_limit, 500);
	pack.set_bool(settings_pack::allow_multiple_connections_per_ip, true);
	return pack;
}

template <class Alert> void await(lt::session &session)
{
	for (;;) {
		session.wait_for_alert(std::chrono::seconds(60));
		std::vector<lt::alert *> alerts;
		session.pop_alerts(&alerts);
		for (auto *alert : alerts)
			if (lt::alert_cast<Alert>(alert))
				return;
		if (alerts.empty())
			fail("bare libtorrent does not get on");
	}
}

void bare_transfer(std::vector<char> const &metainfo, fs::path const &from, fs::path const &to)
{
	lt::session seed = bare_session(bare_settings()), leech = bare_session(bare_settings());
	lt::add_torrent_params params = lt::load_torrent_buffer(metainfo);
	lt::add_torrent_params wanted = params;
	params.save_path = from.string();
	params.flags = {};
	params.have_pieces.resize(params.ti->num_pieces(), true);
	seed.add_torrent(std::move(params));
	while (seed.listen_port() == 0)
		await<lt::listen_succeeded_alert>(seed);
	wanted.save_path = to.string();
	wanted.flags = {};
	wanted.peers.emplace_back(lt::make_address("127.0.0.1"), seed.listen_port());
	leech.add_torrent(std::move(wanted));
	await<lt::torrent_finished_alert>(leech);
}

struct sample {
	double wall, cpu;
};

sample measure(std::function<void()> const &work)
{
	double const cpu = cpu_seconds(), wall = wall_seconds();
	work();
	return {wall_seconds() - wall, cpu_seconds() - cpu};
}

double median(std::vector<double> values)
{
	std::sort(values.begin(), values.end());
	return values[values.size() / 2];
}

void transfer(fs::path const &folder, std::size_t mib, int runs)
{
	std::vector<char> const metainfo = make_content(folder / "from", mib);
	std::vector<double> wall[2], cpu[2];
	for (int run = 0; run < runs; run++) {
		for (int engine = 0; engine < 2; engine++) {
			fs::remove_all(folder / "to");
			fs::create_directories(folder / "to");
			sample const one = measure([&] {
				if (engine)
					bench_engine_transfer(
						folder.c_str(), metainfo.data(), metainfo.size());
				else
					bare_transfer(metainfo, folder / "from", folder / "to");
			});
			wall[engine].push_back(one.wall);
			cpu[engine].push_back(one.cpu);
		}
	}
	std::printf("{\"bench\":\"transfer\",\"mib\":%zu,\"runs\":%d,\"bare_s\":%.3f,\"engine_s\":"
		    "%.3f,\"bare_cpu_s\":%.3f,\"engine_cpu_s\":%.3f,\"throughput_ratio\":%.3f,"
		    "\"cpu_ratio\":%.3f}\n",
		mib, runs, median(wall[0]), median(wall[1]), median(cpu[0]), median(cpu[1]),
		median(wall[0]) / median(wall[1]), median(cpu[1]) / median(cpu[0]));
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 3)
		fail("usage: bench-torrent transfer|idle FOLDER [N [M]]");
	fs::path const folder = argv[2];
	fs::create_directories(folder);
	if (std::strcmp(argv[1], "transfer") == 0)
		transfer(folder, argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 512,
			argc > 4 ? std::atoi(argv[4]) : 5);
	else if (std::strcmp(argv[1], "idle") == 0)
		bench_engine_idle(folder.c_str(),
			argc > 3 ? unsigned(std::strtoul(argv[3], nullptr, 10)) : 500,
			argc > 4 ? unsigned(std::strtoul(argv[4], nullptr, 10)) : 20);
	else
		fail("there is no such benchmark");
	return 0;
}
