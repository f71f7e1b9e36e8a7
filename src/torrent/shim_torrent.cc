/* What is done to torrents. */
#include "torrent/shim_private.h"

#include <libtorrent/announce_entry.hpp>
#include <libtorrent/torrent_flags.hpp>

#include <cstring>

namespace shim
{

lt::tcp::endpoint endpoint_of(char const *text)
{
	std::string const whole = text;
	std::size_t const colon = whole.rfind(':');
	lt::error_code code;
	std::string host = whole.substr(0, colon);
	if (host.size() > 2 && host.front() == '[' && host.back() == ']')
		host = host.substr(1, host.size() - 2);
	lt::address const address = lt::make_address(host, code);
	unsigned long port = 0;
	if (colon != std::string::npos && colon + 1 < whole.size() && whole.size() - colon <= 6)
		port = std::strtoul(whole.c_str() + colon + 1, nullptr, 10);
	if (code || port == 0 || port > 65535)
		throw failure(LSP_E_INVALID, whole + " is no address and port");
	return {address, std::uint16_t(port)};
}

std::string text_of(lt::tcp::endpoint const &endpoint)
{
	std::string const host = endpoint.address().to_string();
	return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
	       std::to_string(endpoint.port());
}

namespace
{

struct flag {
	std::uint32_t ours;
	lt::torrent_flags_t theirs;
};

flag const flags[] = {
	{LSP_SHIM_AUTO_MANAGED, lt::torrent_flags::auto_managed},
	{LSP_SHIM_SEQUENTIAL, lt::torrent_flags::sequential_download},
	{LSP_SHIM_SUPER_SEEDING, lt::torrent_flags::super_seeding},
	{LSP_SHIM_NO_PEX, lt::torrent_flags::disable_pex},
	{LSP_SHIM_SKIP_BY_DEFAULT, lt::torrent_flags::default_dont_download},
};

lt::torrent_flags_t flags_of(std::uint32_t ours)
{
	lt::torrent_flags_t result = {};
	for (flag const &each : flags)
		if (ours & each.ours)
			result |= each.theirs;
	return result;
}

lt::torrent_handle &handle_of(lsp_shim *shim, std::uint64_t number)
{
	auto const at = shim->torrents.find(number);
	if (at == shim->torrents.end() || !at->second->handle.is_valid())
		throw failure(LSP_E_NOT_FOUND, "the session has no such torrent");
	return at->second->handle;
}

std::vector<lt::download_priority_t> priorities_of(std::uint8_t const *from, std::size_t count)
{
	std::vector<lt::download_priority_t> result;
	result.reserve(count);
	for (std::size_t i = 0; i < count; i++)
		result.emplace_back(std::uint8_t(from[i] & 7));
	return result;
}

void set_texts(lt::add_torrent_params &params, lsp_shim_add const &add)
{
	if (add.replace_trackers) {
		params.trackers.clear();
		params.tracker_tiers.clear();
		params.url_seeds.clear();
	}
	params.tracker_tiers.resize(params.trackers.size());
	for (std::uint64_t i = 0; i < add.trackers.count; i++) {
		params.trackers.emplace_back(add.trackers.text[i]);
		params.tracker_tiers.push_back(add.trackers.tier ? add.trackers.tier[i] : int(i));
	}
	for (std::uint64_t i = 0; i < add.web_seeds.count; i++)
		params.url_seeds.emplace_back(add.web_seeds.text[i]);
	for (std::uint64_t i = 0; i < add.peers.count; i++)
		params.peers.push_back(endpoint_of(add.peers.text[i]));
}

/*
 * Which pieces are here already. Without a word about them the library looks for itself: files that
 * are there are hashed.
 */
void set_have(lt::add_torrent_params &params, lsp_shim_add const &add)
{
	if (add.flags & LSP_SHIM_CHECK) {
		params.have_pieces.clear();
		params.verified_pieces.clear();
		params.unfinished_pieces.clear();
	}
	if (!params.ti)
		return;
	int const pieces = params.ti->num_pieces();
	if (add.flags & LSP_SHIM_HAVE_ALL) {
		params.have_pieces.resize(pieces, true);
		params.have_pieces.set_all();
	} else if (add.have) {
		if (add.have_bits != std::uint64_t(pieces))
			throw failure(LSP_E_INVALID, "the bitmap is not one of this torrent");
		params.have_pieces.resize(pieces, false);
		for (int i = 0; i < pieces; i++)
			if (add.have[i / 8] & (0x80u >> (i % 8)))
				params.have_pieces.set_bit(lt::piece_index_t(i));
	}
}

/* The library keeps these in 24 bits, all of which stand for none; more would become less. */
int counted(std::int32_t limit)
{
	return limit > 0 && limit < (1 << 24) - 1 ? limit : -1;
}

void set_params(lt::add_torrent_params &params, lsp_shim_add const &add)
{
	params.save_path = add.save_path;
	if (add.name)
		params.name = add.name;
	params.storage_mode =
		add.flags & LSP_SHIM_ALLOCATE ? lt::storage_mode_allocate : lt::storage_mode_sparse;
	if (params.ti)
		params.renamed_files = all_renamed(params, add.root);
	if (add.priorities) {
		params.file_priorities = priorities_of(add.priorities, add.priority_count);
		/* Resume data have those of the pieces too, which would hide the files'. */
		params.piece_priorities.clear();
	}
	set_texts(params, add);
	set_have(params, add);
	params.upload_limit = add.max_upload ? add.max_upload : -1;
	params.download_limit = add.max_download ? add.max_download : -1;
	params.max_connections = counted(add.max_connections);
	params.max_uploads = counted(add.max_uploads);
	/* The default flags have `paused` set, which only the queue would ever take off. */
	params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter |
		       lt::torrent_flags::duplicate_is_error | flags_of(add.flags);
	if (add.flags & LSP_SHIM_PAUSED) {
		params.flags |= lt::torrent_flags::paused;
		params.flags &= ~lt::torrent_flags::auto_managed;
	}
}

int add(lsp_shim *shim, lsp_shim_source *source, lsp_shim_add const *options, lsp_error *err)
{
	std::unique_ptr<lsp_shim_source> owned(source);
	return guard(err, "the torrent cannot be added", [&] {
		set_params(owned->params, *options);
		auto torrent = std::make_unique<shim_torrent>();
		torrent->number = options->torrent;
		auto restored = [](std::int64_t sum) {
			shim_torrent::payload payload;
			payload.restored = payload.before = sum;
			return payload;
		};
		torrent->downloaded = restored(owned->params.total_downloaded);
		torrent->uploaded = restored(owned->params.total_uploaded);
		for (lt::tcp::endpoint const &peer : owned->params.peers)
			torrent->tell(peer);
		if (!owned->restored)
			owned->params.flags |= lt::torrent_flags::need_save_resume;
		owned->params.userdata = data_of(options->torrent);
		shim->torrents[options->torrent] = std::move(torrent);
		shim->session->async_add_torrent(std::move(owned->params));
	});
}

int remove(lsp_shim *shim, std::uint64_t number, int what, lsp_error *err)
{
	return guard(err, "the torrent cannot be removed", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		if (what == LSP_SHIM_REMOVE_DATA)
			shim->deleting[hash_key(handle.info_hashes())] = number;
		shim->session->remove_torrent(
			handle, what == LSP_SHIM_REMOVE_DATA    ? lt::session::delete_files
				: what == LSP_SHIM_REMOVE_PARTS ? lt::session::delete_partfile
								: lt::remove_flags_t{});
	});
}

int pause(lsp_shim *shim, std::uint64_t number, lsp_error *err)
{
	return guard(err, "the torrent cannot be paused", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		handle.unset_flags(lt::torrent_flags::auto_managed);
		handle.pause();
	});
}

int resume(lsp_shim *shim, std::uint64_t number, lsp_error *err)
{
	return guard(err, "the torrent cannot be resumed", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		handle.clear_error();
		/* Which a disk that was full has set, nobody would be asked for anything; and a
		 * check of one that stood still. */
		handle.unset_flags(
			lt::torrent_flags::upload_mode | lt::torrent_flags::stop_when_ready);
		handle.resume();
	});
}

int set_flags(
	lsp_shim *shim, std::uint64_t number, std::uint32_t set, std::uint32_t mask, lsp_error *err)
{
	return guard(err, "the torrent's options cannot be set", [&] {
		handle_of(shim, number)
			.set_flags(flags_of(set), flags_of(mask & LSP_SHIM_FLAG_MASK));
	});
}

int set_limits(lsp_shim *shim, std::uint64_t number, std::int32_t max_download,
	std::int32_t max_upload, lsp_error *err)
{
	return guard(err, "the torrent's limits cannot be set", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		handle.set_download_limit(max_download ? max_download : -1);
		handle.set_upload_limit(max_upload ? max_upload : -1);
	});
}

int limits(lsp_shim *shim, std::uint64_t number, std::int32_t *ret_max_download,
	std::int32_t *ret_max_upload, lsp_error *err)
{
	return guard(err, "the torrent's limits cannot be read", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		int const download = handle.download_limit(), upload = handle.upload_limit();
		*ret_max_download = download > 0 ? download : 0;
		*ret_max_upload = upload > 0 ? upload : 0;
	});
}

int set_connections(lsp_shim *shim, std::uint64_t number, std::int32_t max_connections,
	std::int32_t max_uploads, lsp_error *err)
{
	return guard(err, "the torrent's limits cannot be set", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		handle.set_max_connections(counted(max_connections));
		handle.set_max_uploads(counted(max_uploads));
	});
}

int set_priorities(lsp_shim *shim, std::uint64_t number, std::uint8_t const *priorities,
	std::size_t count, lsp_error *err)
{
	return guard(err, "the selection cannot be set", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		lt::torrent_status const before = handle.status({});
		handle.prioritize_files(priorities_of(priorities, count));
		/* Of one that wanted nothing the library has closed the seeds, and does not count
		 * them among those that it may dial even when it wants something: it is to forget
		 * what it knows of them, to hear it again, and to ask anew. */
		if (before.has_metadata && before.total_wanted == 0 && before.num_peers == 0) {
			handle.clear_peers();
			for (lt::tcp::endpoint const &peer : shim->torrents.at(number)->told)
				handle.connect_peer(peer, lt::peer_info::tracker);
			handle.force_reannounce(0, -1, lt::torrent_handle::ignore_min_interval);
		}
	});
}

int set_queue_position(lsp_shim *shim, std::uint64_t number, std::int32_t position, lsp_error *err)
{
	return guard(err, "the queue cannot be changed", [&] {
		handle_of(shim, number).queue_position_set(lt::queue_position_t(position));
	});
}

int set_root(lsp_shim *shim, std::uint64_t number, char const *root, lsp_error *err)
{
	return guard(err, "the torrent's folder cannot be renamed", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		auto const ti = handle.torrent_file();
		if (!ti)
			throw failure(LSP_E_NOT_FOUND, "the metadata is missing");
		for (auto const &[index, path] : renamed(*ti, root))
			handle.rename_file(index, path);
	});
}

int set_trackers(
	lsp_shim *shim, std::uint64_t number, lsp_shim_texts const *trackers, lsp_error *err)
{
	return guard(err, "the trackers cannot be set", [&] {
		std::vector<lt::announce_entry> entries;
		for (std::uint64_t i = 0; i < trackers->count; i++) {
			entries.emplace_back(trackers->text[i]);
			entries.back().tier =
				std::uint8_t(trackers->tier ? trackers->tier[i] : int(i));
		}
		handle_of(shim, number).replace_trackers(entries);
	});
}

int add_web_seed(lsp_shim *shim, std::uint64_t number, char const *url, lsp_error *err)
{
	return guard(err, "the web seed cannot be added",
		[&] { handle_of(shim, number).add_url_seed(url); });
}

int remove_web_seed(lsp_shim *shim, std::uint64_t number, char const *url, lsp_error *err)
{
	return guard(err, "the web seed cannot be removed",
		[&] { handle_of(shim, number).remove_url_seed(url); });
}

int reannounce(lsp_shim *shim, std::uint64_t number, lsp_error *err)
{
	return guard(err, "the torrent cannot be announced", [&] {
		handle_of(shim, number)
			.force_reannounce(0, -1, lt::torrent_handle::ignore_min_interval);
	});
}

int look_around(lsp_shim *shim, std::uint64_t number, lsp_error *err)
{
	return guard(err, "the torrent cannot be told of", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		handle.force_dht_announce();
		handle.force_lsd_announce();
	});
}

int recheck(lsp_shim *shim, std::uint64_t number, lsp_error *err)
{
	return guard(err, "the torrent cannot be checked", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		lt::torrent_flags_t const flags = handle.flags();
		handle.clear_error();
		handle.force_recheck();
		/* One that stands still would not begin: it runs for as long as it is checked. */
		if ((flags & lt::torrent_flags::paused) &&
			!(flags & lt::torrent_flags::auto_managed)) {
			handle.set_flags(lt::torrent_flags::stop_when_ready);
			handle.resume();
		}
	});
}

int move(lsp_shim *shim, std::uint64_t number, char const *save_path, lsp_error *err)
{
	return guard(err, "the torrent cannot be moved", [&] {
		handle_of(shim, number)
			.move_storage(save_path, lt::move_flags_t::always_replace_files);
	});
}

int deadline(lsp_shim *shim, std::uint64_t number, std::uint32_t piece, std::int32_t milliseconds,
	lsp_error *err)
{
	return guard(err, "the deadline cannot be set", [&] {
		lt::torrent_handle &handle = handle_of(shim, number);
		auto const ti = handle.torrent_file();
		if (!ti || piece >= std::uint32_t(ti->num_pieces()))
			throw failure(LSP_E_INVALID, "there is no such piece");
		lt::piece_index_t const index(static_cast<int>(piece));
		if (milliseconds < 0)
			handle.reset_piece_deadline(index);
		else
			handle.set_piece_deadline(index, milliseconds);
	});
}

int connect_peer(lsp_shim *shim, std::uint64_t number, char const *address, lsp_error *err)
{
	/* As of a tracker: only from there does the library forgive a peer its failed dials. */
	return guard(err, "the peer cannot be added", [&] {
		lt::tcp::endpoint const peer = endpoint_of(address);
		handle_of(shim, number).connect_peer(peer, lt::peer_info::tracker);
		shim->torrents.at(number)->tell(peer);
	});
}

int save_resume(lsp_shim *shim, std::uint64_t number, int if_modified, lsp_error *err)
{
	return guard(err, "the torrent cannot be saved", [&] {
		lt::resume_data_flags_t flags = lt::torrent_handle::save_info_dict;
		if (if_modified)
			flags |= lt::torrent_handle::only_if_modified;
		handle_of(shim, number).save_resume_data(flags);
	});
}

} // namespace

void fill_torrents(lsp_shim_functions &table)
{
	table.add = add;
	table.remove = remove;
	table.pause = pause;
	table.resume = resume;
	table.set_flags = set_flags;
	table.set_limits = set_limits;
	table.limits = limits;
	table.set_connections = set_connections;
	table.set_priorities = set_priorities;
	table.set_queue_position = set_queue_position;
	table.set_root = set_root;
	table.set_trackers = set_trackers;
	table.add_web_seed = add_web_seed;
	table.remove_web_seed = remove_web_seed;
	table.reannounce = reannounce;
	table.look_around = look_around;
	table.recheck = recheck;
	table.move = move;
	table.deadline = deadline;
	table.connect_peer = connect_peer;
	table.save_resume = save_resume;
}

} // namespace shim
