/* What a torrent is made of, before it is one: parsed and asked, without a session. */
#include "torrent/shim_private.h"

#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/magnet_uri.hpp>
#include <libtorrent/read_resume_data.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace shim
{

std::string name_of(lt::torrent_info const &ti)
{
	lt::bdecode_node const name = ti.info("name");
	return name && name.type() == lt::bdecode_node::string_t ? std::string(name.string_value())
								 : ti.name();
}

namespace
{

/* The path of the only file there is (padding apart), if it has no folder; else nothing. */
std::string bare_file(lt::torrent_info const &ti)
{
	std::string path;
	int count = 0;
	for (auto const i : ti.orig_files().file_range()) {
		if (ti.orig_files().pad_file_at(i))
			continue;
		path = uncut_path(ti, i);
		count++;
	}
	return count == 1 && path.find('/') == std::string::npos ? path : std::string();
}

} // namespace

/* A v2 torrent of one file is one without a folder only if both have the same name (BEP 52). */
bool is_single_file(lt::torrent_info const &ti)
{
	std::string const path = bare_file(ti);
	return !path.empty() && (ti.v1() || path == name_of(ti));
}

std::map<lt::file_index_t, std::string> renamed(lt::torrent_info const &ti, char const *root)
{
	std::map<lt::file_index_t, std::string> result;
	lt::file_storage const &files = ti.orig_files();
	std::string folder = root ? root : "";
	if (!root && !bare_file(ti).empty() && !is_single_file(ti))
		folder = name_of(ti);
	result = uncut_paths(ti);
	if (folder.empty() || folder.find('/') != std::string::npos || folder == "." ||
		folder == "..")
		return result;
	for (auto const i : files.file_range()) {
		if (files.pad_file_at(i))
			continue;
		auto const uncut = result.find(i);
		std::string const path = uncut == result.end() ? files.file_path(i) : uncut->second;
		std::size_t const slash = path.find('/');
		result[i] = folder + (slash == std::string::npos ? "/" + path : path.substr(slash));
	}
	return result;
}

std::map<lt::file_index_t, std::string> all_renamed(
	lt::add_torrent_params const &params, char const *root)
{
	std::map<lt::file_index_t, std::string> result = params.renamed_files;
	auto const wanted = renamed(*params.ti, root);
	result.insert(wanted.begin(), wanted.end());
	return result;
}

namespace
{

lt::load_torrent_limits limits()
{
	lt::load_torrent_limits result;
	result.max_buffer_size = 192 << 20;
	result.max_pieces = 1 << 22;
	result.max_decode_depth = 100;
	result.max_decode_tokens = 8000000;
	return result;
}

lt::span<char const> span_of(lsp_shim_bytes const &bytes)
{
	if (bytes.size > std::uint64_t(limits().max_buffer_size))
		throw failure(LSP_E_TOO_LARGE, "the torrent is larger than 192 MiB");
	return {static_cast<char const *>(bytes.data), std::ptrdiff_t(bytes.size)};
}

int parse(char const *magnet, lsp_shim_bytes const *metainfo, lsp_shim_bytes const *resume,
	lsp_shim_source **ret_source, lsp_error *err)
{
	int const r = guard(err, "this is no torrent", [&] {
		auto source = std::make_unique<lsp_shim_source>();
		if (magnet)
			source->params = lt::parse_magnet_uri(magnet);
		else if (metainfo)
			source->params = lt::load_torrent_buffer(span_of(*metainfo), limits());
		else
			source->params = lt::read_resume_data(span_of(*resume), limits());
		source->restored = resume;
		if (source->params.ti && !source->params.info_hashes.has_v1() &&
			!source->params.info_hashes.has_v2())
			source->params.info_hashes = source->params.ti->info_hashes();
		if (!source->params.info_hashes.has_v1() && !source->params.info_hashes.has_v2())
			throw failure(LSP_E_PROTOCOL, "this torrent has no info-hash");
		*ret_source = source.release();
	});
	if (r == -LSP_E_FAILED && err)
		err->code = LSP_E_PROTOCOL;
	return r == -LSP_E_FAILED ? -LSP_E_PROTOCOL : r;
}

void source_free(lsp_shim_source *source)
{
	delete source;
}

/* The library moves the layers of a .torrent that it reads from its torrent_info to the trees. */
lt::span<char const> layer_of(lt::add_torrent_params const &params, lt::file_index_t file)
{
	lt::torrent_info const &ti = *params.ti;
	lt::span<char const> const layer = ti.piece_layer(file);
	if (!layer.empty() || std::size_t(int(file)) >= params.merkle_trees.size())
		return layer;
	auto const &tree = params.merkle_trees[file];
	if (tree.size() != std::size_t(ti.orig_files().file_num_pieces(file)))
		return layer;
	static_assert(sizeof tree[0] == 32, "hashes lie side by side");
	return {tree[0].data(), std::ptrdiff_t(tree.size() * 32)};
}

bool has_layers(lt::add_torrent_params const &params)
{
	if (!params.ti->v2())
		return false;
	lt::file_storage const &files = params.ti->files();
	for (auto const i : files.file_range()) {
		if (!files.pad_file_at(i) && files.file_size(i) > files.piece_length() &&
			layer_of(params, i).empty())
			return false;
	}
	return true;
}

std::uint64_t content_size(lt::file_storage const &files)
{
	std::uint64_t size = 0;
	for (auto const i : files.file_range())
		size += files.pad_file_at(i) ? 0 : std::uint64_t(files.file_size(i));
	return size;
}

void source_info(lsp_shim_source const *source, lsp_shim_info *ret_info)
{
	lt::add_torrent_params const &params = source->params;
	lsp_shim_info info = {};
	std::memcpy(info.v1, params.info_hashes.v1.data(), sizeof info.v1);
	std::memcpy(info.v2, params.info_hashes.v2.data(), sizeof info.v2);
	if (params.info_hashes.has_v1())
		info.flags |= LSP_SHIM_HAS_V1;
	if (params.info_hashes.has_v2())
		info.flags |= LSP_SHIM_HAS_V2;
	info.name = params.name.c_str();
	info.save_path = params.save_path.c_str();
	if (params.ti) {
		info.flags |= LSP_SHIM_HAS_METADATA;
		if (params.ti->priv())
			info.flags |= LSP_SHIM_PRIVATE;
		if (is_single_file(*params.ti))
			info.flags |= LSP_SHIM_SINGLE_FILE;
		if (has_layers(params))
			info.flags |= LSP_SHIM_HAS_LAYERS;
		source->name = name_of(*params.ti);
		info.name = source->name.c_str();
		info.size = content_size(params.ti->files());
		info.piece_length = std::uint64_t(params.ti->piece_length());
		info.pieces = std::uint32_t(params.ti->num_pieces());
		info.files = std::uint32_t(params.ti->num_files());
	}
	*ret_info = info;
}

/* Below the top folder, in the metadata's own words. */
std::string path_below(lsp_shim_source *source, lt::file_index_t index)
{
	if (!source->uncut)
		source->uncut = uncut_paths(*source->params.ti);
	auto const at = source->uncut->find(index);
	std::string path = at == source->uncut->end()
				   ? source->params.ti->orig_files().file_path(index)
				   : at->second;
	std::size_t const slash = path.find('/');
	return slash == std::string::npos ? path : path.substr(slash + 1);
}

void source_file(lsp_shim_source *source, std::uint32_t index, lsp_shim_file *ret_file)
{
	lt::torrent_info const &ti = *source->params.ti;
	lt::file_storage const &files = ti.orig_files();
	lt::file_index_t const i(static_cast<int>(index));
	lsp_shim_file file = {};
	source->file_path = path_below(source, i);
	file.path = source->file_path.c_str();
	file.size = std::uint64_t(files.file_size(i));
	lt::file_flags_t const flags = files.file_flags(i);
	file.flags = (files.pad_file_at(i) ? LSP_SHIM_FILE_PAD : 0) |
		     (flags & lt::file_storage::flag_executable ? LSP_SHIM_FILE_EXECUTABLE : 0) |
		     (flags & lt::file_storage::flag_symlink ? LSP_SHIM_FILE_SYMLINK : 0);
	file.first_piece = std::uint32_t(files.file_offset(i) / files.piece_length());
	*ret_file = file;
}

int source_places(lsp_shim_source *source, char const *root, void (*each)(void *, char const *),
	void *argument, lsp_error *err)
{
	return guard(err, "where the files are", [&] {
		if (!source->params.ti)
			return;
		lt::torrent_info const &ti = *source->params.ti;
		auto const elsewhere = all_renamed(source->params, root);
		for (auto const i : ti.orig_files().file_range()) {
			auto const at = elsewhere.find(i);
			if (!ti.orig_files().pad_file_at(i))
				each(argument, at == elsewhere.end()
						       ? ti.orig_files().file_path(i).c_str()
						       : at->second.c_str());
		}
	});
}

/* The root of a piece's own tree, and how many leaves that has. */
std::uint32_t piece_root(lt::add_torrent_params const &params, int piece, std::uint8_t ret_hash[32])
{
	lt::torrent_info const &ti = *params.ti;
	lt::file_storage const &files = ti.orig_files();
	lt::file_index_t const file = files.file_index_at_piece(lt::piece_index_t(piece));
	int const first = int(files.piece_index_at_file(file));
	std::uint32_t const width = std::uint32_t(files.piece_length() / lt::default_block_size);
	if (files.file_num_pieces(file) == 1) {
		std::memcpy(ret_hash, files.root_ptr(file), 32);
		std::uint32_t leaves = 1;
		while (leaves < std::uint32_t(files.file_num_blocks(file)))
			leaves *= 2;
		return leaves;
	}
	lt::span<char const> const layer = layer_of(params, file);
	if (layer.size() < std::ptrdiff_t(piece - first + 1) * 32)
		return 0;
	std::memcpy(ret_hash, layer.data() + std::ptrdiff_t(piece - first) * 32, 32);
	return width;
}

int source_piece(lsp_shim_source *source, std::uint32_t piece,
	void (*each)(void *, lsp_shim_slice const *), void *argument, std::uint8_t ret_hash[32],
	std::uint32_t *ret_leaves, lsp_error *err)
{
	return guard(err, "the hash of a piece", [&] {
		if (!source->params.ti || piece >= std::uint32_t(source->params.ti->num_pieces()))
			throw failure(LSP_E_INVALID, "there is no such piece");
		lt::torrent_info const &ti = *source->params.ti;
		lt::piece_index_t const index(static_cast<int>(piece));
		std::uint32_t leaves =
			ti.v2() ? piece_root(source->params, int(piece), ret_hash) : 0;
		if (!leaves) {
			if (!ti.v1())
				throw failure(LSP_E_NOT_FOUND, "the piece layers are missing");
			std::memcpy(ret_hash, ti.hash_for_piece(index).data(), 20);
		}
		int const size = leaves ? ti.orig_files().piece_size2(index)
					: ti.orig_files().piece_size(index);
		for (auto const &from : ti.orig_files().map_block(index, 0, size)) {
			std::string const path = path_below(source, from.file_index);
			lsp_shim_slice slice = {};
			slice.path = path.c_str();
			slice.offset = std::uint64_t(from.offset);
			slice.size = std::uint64_t(from.size);
			slice.pad = ti.orig_files().pad_file_at(from.file_index);
			each(argument, &slice);
		}
		*ret_leaves = leaves;
	});
}

/* The hashes of each file's pieces, which are outside the info dictionary. */
lt::entry layers_of(lt::add_torrent_params const &params)
{
	lt::torrent_info const &ti = *params.ti;
	lt::entry layers(lt::entry::dictionary_t);
	lt::file_storage const &files = ti.orig_files();
	for (auto const i : files.file_range()) {
		if (files.pad_file_at(i) || files.file_size(i) <= files.piece_length())
			continue;
		lt::span<char const> const layer = layer_of(params, i);
		layers.dict()[files.root(i).to_string()] =
			std::string(layer.data(), std::size_t(layer.size()));
	}
	return layers;
}

void put_trackers(lt::entry &torrent, lt::add_torrent_params const &params)
{
	std::map<int, lt::entry::list_type> tiers;
	for (std::size_t i = 0; i < params.trackers.size(); i++)
		tiers[i < params.tracker_tiers.size() ? params.tracker_tiers[i] : 0].emplace_back(
			params.trackers[i]);
	if (tiers.empty())
		return;
	torrent["announce"] = params.trackers.front();
	for (auto const &tier : tiers)
		torrent["announce-list"].list().emplace_back(tier.second);
}

int source_metainfo(
	lsp_shim_source *source, lsp_shim_take_bytes take, void *argument, lsp_error *err)
{
	return guard(err, "the .torrent cannot be made", [&] {
		auto const &ti = source->params.ti;
		/* Of a torrent that came by a magnet link the layers come with the pieces. */
		if (!ti || (ti->v2() && !has_layers(source->params)))
			return;
		lt::entry torrent(lt::entry::dictionary_t);
		lt::span<char const> const info = ti->info_section();
		torrent["info"].preformatted().assign(info.begin(), info.end());
		if (ti->v2())
			torrent["piece layers"] = layers_of(source->params);
		put_trackers(torrent, source->params);
		for (std::string const &url : source->params.url_seeds)
			torrent["url-list"].list().emplace_back(url);
		if (!ti->comment().empty())
			torrent["comment"] = ti->comment();
		std::vector<char> bytes;
		lt::bencode(std::back_inserter(bytes), torrent);
		take(argument, bytes.data(), bytes.size());
	});
}

int source_priorities(
	lsp_shim_source *source, lsp_shim_take_bytes take, void *argument, lsp_error *err)
{
	return guard(err, "the stored selection cannot be read", [&] {
		std::vector<std::uint8_t> result;
		for (auto const priority : source->params.file_priorities)
			result.push_back(std::uint8_t(priority));
		take(argument, result.data(), result.size());
	});
}

/* Each file's part in each piece that it is in, padding left out: from where to where in that. */
template <class Function> void each_part(lt::file_storage const &files, Function function)
{
	std::int64_t const length = files.piece_length();
	for (auto const file : files.file_range()) {
		std::int64_t at = files.file_offset(file), next;
		std::int64_t const end = at + files.file_size(file);
		for (; at < end && !files.pad_file_at(file); at = next) {
			std::int64_t const first = at - at % length;
			next = std::min(end, first + length);
			function(file, lt::piece_index_t(int(at / length)), at - first,
				next - first);
		}
	}
}

/* How many of the bytes from..to of a piece are here. */
std::int64_t bytes_here(lt::add_torrent_params const &params, lt::piece_index_t piece,
	std::int64_t from, std::int64_t to)
{
	if ((params.flags & lt::torrent_flags::seed_mode) ||
		(piece < params.have_pieces.end_index() && params.have_pieces[piece]))
		return to - from;
	auto const part = params.unfinished_pieces.find(piece);
	std::int64_t sum = 0;
	for (int i = 0; part != params.unfinished_pieces.end() && i < part->second.size(); i++) {
		std::int64_t const begin = std::max(from, std::int64_t(i) * lt::default_block_size);
		std::int64_t const end = std::min(to, std::int64_t(i + 1) * lt::default_block_size);
		sum += part->second[i] && begin < end ? end - begin : 0;
	}
	return sum;
}

/* The library counts whole pieces: one that a wanted file is in is wanted. */
int source_progress(lsp_shim_source *source, std::uint8_t const *priorities, std::size_t count,
	lsp_shim_progress *ret_progress, lsp_error *err)
{
	return guard(err, "how far it is cannot be read", [&] {
		lt::add_torrent_params const &params = source->params;
		lsp_shim_progress progress = {};
		progress.downloaded = params.total_downloaded;
		progress.uploaded = params.total_uploaded;
		if (params.ti) {
			auto is_wanted = [&](lt::file_index_t file) {
				std::size_t const at = std::size_t(int(file));
				if (priorities)
					return at >= count || priorities[at] > 0;
				return at >= params.file_priorities.size() ||
				       params.file_priorities[at] != lt::dont_download;
			};
			lt::typed_bitfield<lt::piece_index_t> pieces(params.ti->num_pieces());
			each_part(params.ti->files(), [&](auto file, auto piece, auto, auto) {
				if (is_wanted(file))
					pieces.set_bit(piece);
			});
			each_part(params.ti->files(), [&](auto, auto piece, auto from, auto to) {
				if (!pieces[piece])
					return;
				progress.wanted += to - from;
				progress.done += bytes_here(params, piece, from, to);
			});
		}
		*ret_progress = progress;
	});
}

int source_magnet(lsp_shim_source *source, lsp_shim_take_bytes take, void *argument, lsp_error *err)
{
	return guard(err, "the magnet link cannot be made", [&] {
		lt::add_torrent_params params;
		params.info_hashes = source->params.info_hashes;
		params.trackers = source->params.trackers;
		params.url_seeds = source->params.url_seeds;
		/* Else who follows the link has no name for it until the metadata came. */
		params.name = source->params.name;
		if (params.name.empty() && source->params.ti)
			params.name = name_of(*source->params.ti);
		std::string const text = lt::make_magnet_uri(params);
		take(argument, text.data(), text.size());
	});
}

} // namespace

void fill_sources(lsp_shim_functions &table)
{
	table.parse = parse;
	table.source_free = source_free;
	table.source_info = source_info;
	table.source_file = source_file;
	table.source_places = source_places;
	table.source_piece = source_piece;
	table.source_metainfo = source_metainfo;
	table.source_priorities = source_priorities;
	table.source_magnet = source_magnet;
	table.source_progress = source_progress;
}

} // namespace shim
