/* The inside of the shim, in C++: for shim.cc, shim_alert.cc, shim_close.cc, shim_query.cc,
 * shim_torrent.cc, shim_source.cc, shim_names.cc. */
#pragma once

#include "torrent/shim.h"

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert.hpp>
#include <libtorrent/announce_entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/time.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace lt = libtorrent;

/* What we know of each torrent, while the session has it. */
struct shim_torrent {
	std::uint64_t number;
	lt::torrent_handle handle; /* valid once ADDED came */
	/*
	 * Payload of all time. The library's own sum lags by up to a second, and its count for this
	 * session begins anew whenever the torrent is resumed: so it is summed here.
	 */
	struct payload {
		std::int64_t restored = 0, before = 0, last = 0;

		std::int64_t sum(std::int64_t session, std::int64_t all_time)
		{
			if (session < last)
				before += last;
			last = session;
			return std::max(before + session, all_time);
		}
	} downloaded, uploaded;
	/* When it was last asked for its status: an alert from before that is old news. */
	lt::time_point asked;
	/* Whom it was told of, newest last, and no more than told_most: nobody may tell again. */
	static constexpr std::size_t told_most = 200;
	std::vector<lt::tcp::endpoint> told;

	void tell(lt::tcp::endpoint const &peer)
	{
		told.erase(std::remove(told.begin(), told.end(), peer), told.end());
		if (told.size() == told_most)
			told.erase(told.begin());
		told.push_back(peer);
	}
};

struct lsp_shim {
	std::unique_ptr<lt::session> session;
	std::unordered_map<std::uint64_t, std::unique_ptr<shim_torrent>> torrents;
	/* Removed with their data: the alert that tells of that end names only the hash. */
	std::map<std::string, std::uint64_t> deleting;
	std::string setting_text;
};

struct lsp_shim_source {
	lt::add_torrent_params params;
	std::string file_path;
	mutable std::string name;
	std::optional<std::map<lt::file_index_t, std::string>> uncut; /* once it was asked */
	bool restored = false;                                        /* from resume data */
};

namespace shim
{

constexpr char const *domain = "torrent";

/* A failure that has a code of ours. */
struct failure : std::runtime_error {
	int code;
	failure(int code_, std::string const &text) : std::runtime_error(text), code(code_)
	{
	}
};

/*
 * What the library carries for us with each torrent is its number, in the guise of a pointer: it
 * tells of a torrent after that was removed, and then there must be nothing to point at.
 */
inline lt::client_data_t data_of(std::uint64_t number)
{
	return lt::client_data_t(reinterpret_cast<shim_torrent *>(std::uintptr_t(number)));
}

inline std::uint64_t number_of(lt::client_data_t const &data)
{
	return reinterpret_cast<std::uintptr_t>(data.get<shim_torrent>());
}

int fail(lsp_error *err, lt::error_code const &code, char const *what) noexcept;

/* Waits for a session that was aborted, but so long at the most. */
void wait_for_end(lt::session_proxy ending, std::chrono::milliseconds patience);

/* Runs it, and no exception gets out. */
template <class Function> int guard(lsp_error *err, char const *what, Function function) noexcept
{
	try {
		function();
		return 0;
	} catch (failure const &e) {
		return lsp_error_set(err, domain, e.code, "%s", e.what());
	} catch (lt::system_error const &e) {
		return fail(err, e.code(), what);
	} catch (std::bad_alloc const &) {
		return lsp_error_no_memory(err, domain);
	} catch (std::exception const &e) {
		return lsp_error_set(err, domain, LSP_E_FAILED, "%s: %s", what, e.what());
	} catch (...) {
		return lsp_error_set(err, domain, LSP_E_FAILED, "%s failed", what);
	}
}

/*
 * A tracker is announced to from each of our addresses, and from those that cannot reach it (an
 * IPv6 address, one of IPv4) not at all. Is it so from all of them?
 */
bool is_out_of_reach(lt::announce_entry const &tracker, lt::protocol_version version);
std::string hash_key(lt::info_hash_t const &hashes);
lt::tcp::endpoint endpoint_of(char const *text);
std::string text_of(lt::tcp::endpoint const &endpoint);
/* Throws where the library has no such setting, or one of another kind. */
lt::settings_pack pack_of(lsp_shim_setting const *settings, std::size_t count);
/* LSP_SHIM_STATE_… */
std::uint32_t state_of(lt::torrent_status::state_t state);
void status_of(lt::torrent_status const &from, shim_torrent &torrent, std::string &error,
	lsp_shim_status &to);
/* shim_names.cc: the whole paths of the files in whose paths the library has cut a name. */
std::map<lt::file_index_t, std::string> uncut_paths(lt::torrent_info const &ti);
/* The path of a file, with nothing cut. */
std::string uncut_path(lt::torrent_info const &ti, lt::file_index_t index);
/*
 * Where files go that do not go where the library would put them: with `root`, below that folder;
 * without (NULL), the one file of a torrent whose name is a folder's and not the file's, which the
 * library would put beside that folder; and those whose names it cuts.
 */
std::map<lt::file_index_t, std::string> renamed(lt::torrent_info const &ti, char const *root);
/*
 * What resume data say of that, and what they do not yet: those of a magnet may have been saved
 * before the library had given each of its files its name, by a program that was killed then.
 */
std::map<lt::file_index_t, std::string> all_renamed(
	lt::add_torrent_params const &params, char const *root);
/* The name in the info dictionary. */
std::string name_of(lt::torrent_info const &ti);
bool is_single_file(lt::torrent_info const &ti);

/* shim_source.cc, shim_torrent.cc and shim_alert.cc fill their part of the table. */
void fill_sources(lsp_shim_functions &table);
void fill_torrents(lsp_shim_functions &table);
void fill_queries(lsp_shim_functions &table);
void pop(lsp_shim *session, void (*each)(void *, lsp_shim_alert const *), void *argument);

} // namespace shim
