/*
 * Names that the library cuts. It takes about 240 bytes of the name of a file or folder, where
 * filesystems, and games, have up to 255: what is seeded in place it would not find there, and what
 * it fetches would have another name than with everybody else. So the names of the metadata stand
 * in for the cut ones, where they are such as a game's file may have (wire/path.h); others stay
 * cut.
 */
#include "torrent/shim_private.h"

extern "C" {
#include "wire/path.h"
}

#include <libtorrent/bdecode.hpp>

#include <set>

namespace shim
{

namespace
{

constexpr std::size_t cut_from = 240; /* bytes; what is shorter it leaves alone */

using names = std::vector<std::string>;

/* The parts of a path. */
names parts_of(std::string const &path)
{
	names parts;
	std::size_t begin = 0, slash;
	while ((slash = path.find('/', begin)) != std::string::npos) {
		parts.push_back(path.substr(begin, slash - begin));
		begin = slash + 1;
	}
	parts.push_back(path.substr(begin));
	return parts;
}

bool may_be_cut(std::string const &path)
{
	names const parts = parts_of(path);
	return std::any_of(parts.begin(), parts.end(),
		[](std::string const &part) { return part.size() >= cut_from - 4; });
}

/* Of each file of the tree (BEP 52), in its order. */
void walk(lt::bdecode_node const &tree, names &above, std::vector<names> &found, int depth)
{
	if (depth > 100 || tree.type() != lt::bdecode_node::dict_t)
		return;
	for (int i = 0; i < tree.dict_size(); i++) {
		auto const [name, node] = tree.dict_at(i);
		if (name.empty()) {
			found.push_back(above);
			continue;
		}
		above.emplace_back(name);
		walk(node, above, found, depth + 1);
		above.pop_back();
	}
}

/* Of each file of the list (BEP 3), padding too. */
std::vector<names> listed(lt::bdecode_node const &files)
{
	std::vector<names> found;
	for (int i = 0; files.type() == lt::bdecode_node::list_t && i < files.list_size(); i++) {
		names path;
		lt::bdecode_node const file = files.list_at(i);
		if (file.type() != lt::bdecode_node::dict_t)
			return {};
		lt::bdecode_node list = file.dict_find_list("path.utf-8");
		if (!list)
			list = file.dict_find_list("path");
		for (int k = 0; list && k < list.list_size(); k++)
			path.emplace_back(list.list_string_value_at(k));
		found.push_back(path);
	}
	return found;
}

/* What the metadata say of each file that is no padding, below the top folder. */
std::vector<names> told(lt::torrent_info const &ti)
{
	std::vector<names> found, all;
	if (ti.v2()) {
		names above;
		walk(ti.info("file tree"), above, found, 0);
		return found;
	}
	lt::bdecode_node const files = ti.info("files");
	if (!files)
		return {{}};
	all = listed(files);
	if (all.size() != std::size_t(ti.num_files()))
		return {};
	for (auto const i : ti.orig_files().file_range())
		if (!ti.orig_files().pad_file_at(i))
			found.push_back(all[std::size_t(int(i))]);
	return found;
}

/* The name that was cut to that one; else the cut one, which may be anything else. */
std::string const &whole(std::string const &cut, std::string const &name)
{
	bool const is_cut = cut.size() >= cut_from - 4 && name.size() > cut_from &&
			    name.compare(0, cut_from - 4, cut, 0, cut_from - 4) == 0;
	return is_cut && lsp_path_check_name(name.data(), name.size(), nullptr) == 0 ? name : cut;
}

std::string uncut(std::string const &path, std::string const &top, names below)
{
	names const parts = parts_of(path);
	if (parts.size() == below.size() + 1)
		below.insert(below.begin(), top);
	if (parts.size() != below.size())
		return path;
	std::string result;
	for (std::size_t i = 0; i < parts.size(); i++)
		result += (i ? "/" : "") + whole(parts[i], below[i]);
	return result;
}

} // namespace

std::map<lt::file_index_t, std::string> uncut_paths(lt::torrent_info const &ti)
{
	std::map<lt::file_index_t, std::string> result;
	lt::file_storage const &files = ti.orig_files();
	bool any = false;
	for (auto const i : files.file_range())
		any = any || (!files.pad_file_at(i) && may_be_cut(files.file_path(i)));
	if (!any)
		return result;
	std::vector<names> const found = told(ti);
	std::string const top = name_of(ti);
	std::set<std::string> taken; /* two of one name the library has told apart */
	std::size_t at = 0;
	for (auto const i : files.file_range()) {
		if (files.pad_file_at(i))
			continue;
		if (at == found.size())
			return {};
		std::string const cut = files.file_path(i);
		std::string const path = uncut(cut, top, found[at++]);
		if (taken.insert(path).second && path != cut)
			result[i] = path;
	}
	return at == found.size() ? result : std::map<lt::file_index_t, std::string>();
}

std::string uncut_path(lt::torrent_info const &ti, lt::file_index_t index)
{
	std::string path = ti.orig_files().file_path(index);
	if (!may_be_cut(path) || ti.orig_files().pad_file_at(index))
		return path;
	auto const all = uncut_paths(ti);
	auto const at = all.find(index);
	return at == all.end() ? path : at->second;
}

} // namespace shim
