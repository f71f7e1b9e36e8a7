/* What torrents are asked. */
#include "torrent/shim_private.h"

#include <libtorrent/announce_entry.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/torrent_flags.hpp>

#include <algorithm>

namespace shim
{

std::uint32_t state_of(lt::torrent_status::state_t state)
{
	switch (state) {
	case lt::torrent_status::checking_files:
		return LSP_SHIM_STATE_CHECKING;
	case lt::torrent_status::downloading_metadata:
		return LSP_SHIM_STATE_METADATA;
	case lt::torrent_status::downloading:
		return LSP_SHIM_STATE_DOWNLOADING;
	case lt::torrent_status::finished:
		return LSP_SHIM_STATE_FINISHED;
	case lt::torrent_status::seeding:
		return LSP_SHIM_STATE_SEEDING;
	default:
		return LSP_SHIM_STATE_CHECKING_RESUME;
	}
}

static std::uint32_t status_flags(lt::torrent_status const &from)
{
	auto has = [&](lt::torrent_flags_t flag) { return bool(from.flags & flag); };
	return (has(lt::torrent_flags::paused) ? LSP_SHIM_PAUSED : 0) |
	       (has(lt::torrent_flags::auto_managed) ? LSP_SHIM_AUTO_MANAGED : 0) |
	       (has(lt::torrent_flags::sequential_download) ? LSP_SHIM_SEQUENTIAL : 0) |
	       (has(lt::torrent_flags::super_seeding) ? LSP_SHIM_SUPER_SEEDING : 0) |
	       (has(lt::torrent_flags::disable_pex) ? LSP_SHIM_NO_PEX : 0) |
	       (from.is_seeding ? LSP_SHIM_SEEDING : 0) |
	       (from.is_finished ? LSP_SHIM_FINISHED : 0) |
	       (from.has_metadata ? LSP_SHIM_METADATA : 0) |
	       (from.moving_storage ? LSP_SHIM_MOVING : 0);
}

void status_of(lt::torrent_status const &from, shim_torrent &torrent, std::string &error,
	lsp_shim_status &to)
{
	to = {};
	error = from.errc ? from.errc.message() : std::string();
	/* After a write that failed the library either stops the torrent or, without an error, only
	 * asks for nothing any more. We never set that mode ourselves. */
	if (error.empty() && (from.flags & lt::torrent_flags::upload_mode))
		error = "its files cannot be written (is the disk full?)";
	to.torrent = torrent.number;
	to.state = state_of(from.state);
	to.flags = status_flags(from);
	to.done = from.total_wanted_done;
	to.wanted = from.total_wanted;
	to.size = from.total;
	to.downloaded = torrent.downloaded.sum(from.total_payload_download, from.all_time_download);
	to.uploaded = torrent.uploaded.sum(from.total_payload_upload, from.all_time_upload);
	to.session_downloaded = to.downloaded - torrent.downloaded.restored;
	to.session_uploaded = to.uploaded - torrent.uploaded.restored;
	to.added = from.added_time;
	to.completed = from.completed_time;
	to.finished_seconds = lt::total_seconds(from.finished_duration);
	to.download_rate = from.download_payload_rate;
	to.upload_rate = from.upload_payload_rate;
	to.peers = from.num_peers;
	to.seeds = from.num_seeds;
	to.queue_position = int(from.queue_position);
	to.progress_ppm = from.progress_ppm;
	to.error = error.c_str();
	to.save_path = from.save_path.c_str();
	to.name = from.name.c_str();
	to.tracker = from.current_tracker.c_str();
}

namespace
{

lt::torrent_handle &handle_of(lsp_shim *shim, std::uint64_t number)
{
	auto const at = shim->torrents.find(number);
	if (at == shim->torrents.end() || !at->second->handle.is_valid())
		throw failure(LSP_E_NOT_FOUND, "the session has no such torrent");
	return at->second->handle;
}

int priorities(lsp_shim *shim, std::uint64_t number, lsp_shim_take_bytes take, void *argument,
	lsp_error *err)
{
	return guard(err, "the selection cannot be read", [&] {
		std::vector<std::uint8_t> result;
		for (auto const priority : handle_of(shim, number).get_file_priorities())
			result.push_back(std::uint8_t(priority));
		take(argument, result.data(), result.size());
	});
}

bool is_skipped(lt::announce_infohash const &hash)
{
	return hash.last_error == lt::error_code(lt::errors::announce_skipped);
}

} // namespace

bool is_out_of_reach(lt::announce_entry const &tracker, lt::protocol_version version)
{
	for (auto const &endpoint : tracker.endpoints)
		if (endpoint.enabled && !is_skipped(endpoint.info_hashes[version]))
			return false;
	return true;
}

namespace
{

/* Of a protocol that the torrent is not of, or of an address that was not used yet. */
bool is_unused(lt::announce_infohash const &hash)
{
	return !hash.start_sent && !hash.updating && !hash.fails && !hash.last_error;
}

/* A tracker answers on each of our addresses for itself: the best of them counts. */
void tracker_of(lt::announce_entry const &from, std::string &message, lsp_shim_tracker &to)
{
	bool first = true;
	bool const nowhere = is_out_of_reach(from, lt::protocol_version::V1) &&
			     is_out_of_reach(from, lt::protocol_version::V2);
	for (auto const &endpoint : from.endpoints) {
		for (auto const &hash : endpoint.info_hashes) {
			if (is_unused(hash) || (is_skipped(hash) && !nowhere))
				continue;
			to.updating |= hash.updating;
			to.seeds = std::max(to.seeds, std::int32_t(hash.scrape_complete));
			to.peers = std::max(
				to.peers, hash.scrape_complete < 0 || hash.scrape_incomplete < 0
						  ? std::int32_t(hash.scrape_incomplete)
						  : hash.scrape_complete + hash.scrape_incomplete);
			std::string const text = hash.message.empty() && hash.last_error
							 ? hash.last_error.message()
							 : hash.message;
			if (first || int(hash.fails) < to.failures) {
				to.failures = hash.fails;
				message = text;
			} else if (message.empty()) {
				message = text;
			}
			first = false;
		}
	}
}

int trackers(lsp_shim *shim, std::uint64_t number, void (*each)(void *, lsp_shim_tracker const *),
	void *argument, lsp_error *err)
{
	return guard(err, "the trackers cannot be read", [&] {
		for (lt::announce_entry const &from : handle_of(shim, number).trackers()) {
			std::string message;
			lsp_shim_tracker tracker = {};
			tracker.seeds = tracker.peers = -1;
			tracker_of(from, message, tracker);
			tracker.url = from.url.c_str();
			tracker.message = message.c_str();
			tracker.tier = from.tier;
			tracker.verified = from.verified;
			each(argument, &tracker);
		}
	});
}

int web_seeds(lsp_shim *shim, std::uint64_t number, void (*each)(void *, char const *),
	void *argument, lsp_error *err)
{
	return guard(err, "the web seeds cannot be read", [&] {
		for (std::string const &url : handle_of(shim, number).url_seeds())
			each(argument, url.c_str());
	});
}

/* Whom we are told of, by the LAN or by the user, comes as if of a tracker (connect_peer). */
char const *source_of(lt::peer_info const &peer, bool has_trackers)
{
	if (peer.source & lt::peer_info::tracker)
		return has_trackers ? "tracker" : "told";
	if (peer.source & lt::peer_info::dht)
		return "dht";
	if (peer.source & lt::peer_info::pex)
		return "pex";
	if (peer.source & lt::peer_info::lsd)
		return "lsd";
	if (peer.source & lt::peer_info::resume_data)
		return "resume";
	return peer.source & lt::peer_info::incoming ? "incoming" : "manual";
}

std::uint32_t peer_flags(lt::peer_info const &peer)
{
	auto has = [&](lt::peer_flags_t flag) { return bool(peer.flags & flag); };
	/* What is plain after an encrypted handshake is plain. */
	bool const encrypted = has(lt::peer_info::rc4_encrypted) || has(lt::peer_info::ssl_socket);
	return (has(lt::peer_info::utp_socket) ? LSP_SHIM_PEER_UTP : 0) |
	       (encrypted ? LSP_SHIM_PEER_ENCRYPTED : 0) |
	       (has(lt::peer_info::seed) ? LSP_SHIM_PEER_SEED : 0) |
	       (has(lt::peer_info::outgoing_connection) ? 0 : LSP_SHIM_PEER_INCOMING) |
	       (has(lt::peer_info::remote_choked) ? LSP_SHIM_PEER_CHOKED : 0) |
	       (has(lt::peer_info::choked) ? 0 : LSP_SHIM_PEER_UNCHOKED) |
	       (has(lt::peer_info::interesting) ? LSP_SHIM_PEER_INTERESTED : 0);
}

int peers(lsp_shim *shim, std::uint64_t number, void (*each)(void *, lsp_shim_peer const *),
	void *argument, lsp_error *err)
{
	return guard(err, "the peers cannot be read", [&] {
		std::vector<lt::peer_info> all;
		handle_of(shim, number).get_peer_info(all);
		bool const has_trackers = !handle_of(shim, number).trackers().empty();
		for (lt::peer_info const &from : all) {
			std::string const address = text_of(from.ip);
			lsp_shim_peer peer = {};
			peer.address = address.c_str();
			peer.client = from.client.c_str();
			peer.source = source_of(from, has_trackers);
			peer.downloaded = from.total_download;
			peer.uploaded = from.total_upload;
			peer.download_rate = from.payload_down_speed;
			peer.upload_rate = from.payload_up_speed;
			peer.progress_ppm = from.progress_ppm;
			peer.flags = peer_flags(from);
			each(argument, &peer);
		}
	});
}

constexpr auto status_query = lt::torrent_handle::query_name | lt::torrent_handle::query_save_path |
			      lt::torrent_handle::query_accurate_download_counters;

/* asked: when the library had answered. */
void tell_status(shim_torrent &torrent, lt::torrent_status const &from, lt::time_point asked,
	void (*each)(void *, lsp_shim_status const *), void *argument)
{
	torrent.asked = asked;
	std::string error;
	lsp_shim_status to;
	status_of(from, torrent, error, to);
	each(argument, &to);
}

int status(lsp_shim *shim, std::uint64_t number, void (*each)(void *, lsp_shim_status const *),
	void *argument, lsp_error *err)
{
	return guard(err, "the torrent's state cannot be read", [&] {
		lt::torrent_status const from = handle_of(shim, number).status(status_query);
		tell_status(*shim->torrents[number], from, lt::clock_type::now(), each, argument);
	});
}

int statuses(lsp_shim *shim, void (*each)(void *, lsp_shim_status const *), void *argument,
	lsp_error *err)
{
	return guard(err, "the torrents' states cannot be read", [&] {
		auto const found = shim->session->get_torrent_status(
			[](lt::torrent_status const &) { return true; }, status_query);
		lt::time_point const asked = lt::clock_type::now();
		for (lt::torrent_status const &from : found) {
			auto const at = shim->torrents.find(number_of(from.handle.userdata()));
			if (at != shim->torrents.end() && at->second->handle.is_valid())
				tell_status(*at->second, from, asked, each, argument);
		}
	});
}

int have(lsp_shim *shim, std::uint64_t number, lsp_shim_take_bytes take, void *argument,
	std::uint64_t *ret_bits, std::uint32_t *ret_piece_length, lsp_error *err)
{
	return guard(err, "the pieces cannot be read", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		auto const ti = handle.torrent_file();
		std::size_t const bits = ti ? std::size_t(ti->num_pieces()) : 0;
		std::vector<std::uint8_t> bytes((bits + 7) / 8);
		lt::torrent_status const from = handle.status(lt::torrent_handle::query_pieces);
		for (std::size_t i = 0; i < bits; i++)
			if (from.is_seeding ||
				(int(i) < from.pieces.size() &&
					from.pieces.get_bit(lt::piece_index_t(int(i)))))
				bytes[i / 8] |= std::uint8_t(0x80u >> (i % 8));
		*ret_bits = bits;
		*ret_piece_length = ti ? std::uint32_t(ti->piece_length()) : 0;
		take(argument, bytes.data(), bytes.size());
	});
}

int file_progress(lsp_shim *shim, std::uint64_t number, lsp_shim_take_bytes take, void *argument,
	lsp_error *err)
{
	return guard(err, "the files cannot be read", [&] {
		std::vector<std::int64_t> const result = handle_of(shim, number).file_progress();
		take(argument, result.data(), result.size() * sizeof result[0]);
	});
}

int present(lsp_shim *shim, void (*each)(void *, std::uint64_t), void *argument, lsp_error *err)
{
	return guard(err, "the session's torrents cannot be listed", [&] {
		decltype(shim->torrents) found;
		for (lt::torrent_handle const &handle : shim->session->get_torrents()) {
			auto const at = shim->torrents.find(number_of(handle.userdata()));
			if (at == shim->torrents.end())
				continue;
			at->second->handle = handle;
			found.insert(shim->torrents.extract(at));
		}
		shim->torrents = std::move(found);
		for (auto const &one : shim->torrents)
			each(argument, one.first);
	});
}

int source(lsp_shim *shim, std::uint64_t number, lsp_shim_source **ret_source, lsp_error *err)
{
	return guard(err, "the metadata cannot be read", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		auto result = std::make_unique<lsp_shim_source>();
		result->params.info_hashes = handle.info_hashes();
		auto const ti = handle.torrent_file_with_hashes();
		if (ti)
			result->params.ti = std::make_shared<lt::torrent_info>(*ti);
		else
			result->params.name = handle.status(lt::torrent_handle::query_name).name;
		for (lt::announce_entry const &tracker : handle.trackers()) {
			result->params.trackers.push_back(tracker.url);
			result->params.tracker_tiers.push_back(tracker.tier);
		}
		for (std::string const &url : handle.url_seeds())
			result->params.url_seeds.push_back(url);
		*ret_source = result.release();
	});
}

} // namespace

void fill_queries(lsp_shim_functions &table)
{
	table.present = present;
	table.priorities = priorities;
	table.trackers = trackers;
	table.web_seeds = web_seeds;
	table.peers = peers;
	table.status = status;
	table.statuses = statuses;
	table.have = have;
	table.file_progress = file_progress;
	table.source = source;
}

} // namespace shim
