#include "torrent/shim_private.h"

#include <libtorrent/alert_types.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/peer_class.hpp>
#include <libtorrent/peer_class_type_filter.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/version.hpp>

#include <chrono>
#include <cstring>

namespace shim
{

int fail(lsp_error *err, lt::error_code const &code, char const *what) noexcept
{
	int ours = LSP_E_FAILED;
	if (code == lt::errors::invalid_torrent_handle)
		ours = LSP_E_NOT_FOUND;
	else if (code == lt::errors::duplicate_torrent)
		ours = LSP_E_EXISTS;
	else if (code == boost::system::errc::no_space_on_device)
		ours = LSP_E_NO_SPACE;
	try {
		return lsp_error_set(err, domain, ours, "%s: %s", what, code.message().c_str());
	} catch (...) {
		return lsp_error_no_memory(err, domain);
	}
}

std::string hash_key(lt::info_hash_t const &hashes)
{
	return hashes.has_v2() ? hashes.v2.to_string() : hashes.v1.to_string();
}

namespace
{

char const *version()
{
	return lt::version();
}

/* A name of the library's, and the kind that its number says it has. */
int setting_named(char const *name, std::uint32_t *kind)
{
	int const setting = lt::setting_by_name(name);
	if (setting < 0)
		throw failure(LSP_E_NOT_FOUND, std::string("libtorrent has no setting ") + name);
	switch (setting & lt::settings_pack::type_mask) {
	case lt::settings_pack::string_type_base:
		*kind = LSP_SHIM_TEXT;
		break;
	case lt::settings_pack::int_type_base:
		*kind = LSP_SHIM_NUMBER;
		break;
	default:
		*kind = LSP_SHIM_SWITCH;
	}
	return setting;
}

} // namespace

lt::settings_pack pack_of(lsp_shim_setting const *settings, std::size_t count)
{
	lt::settings_pack pack;
	for (std::size_t i = 0; i < count; i++) {
		lsp_shim_setting const &from = settings[i];
		std::uint32_t kind;
		int const setting = setting_named(from.name, &kind);
		if (kind != from.kind)
			throw failure(LSP_E_INVALID,
				std::string("the setting ") + from.name + " is of another kind");
		if (kind == LSP_SHIM_TEXT)
			pack.set_str(setting, from.text ? from.text : "");
		else if (kind == LSP_SHIM_SWITCH)
			pack.set_bool(setting, from.number != 0);
		else if (from.number > INT32_MAX || from.number < INT32_MIN)
			throw failure(LSP_E_INVALID,
				std::string("the setting ") + from.name + " is too large");
		else
			pack.set_int(setting, int(from.number));
	}
	return pack;
}

namespace
{

int open(lsp_shim_setting const *settings, std::size_t count, void (*notify)(void *),
	void *argument, lsp_shim **ret_shim, lsp_error *err)
{
	return guard(err, "the BitTorrent session cannot be opened", [&] {
		lt::settings_pack pack = pack_of(settings, count);
		pack.set_int(lt::settings_pack::alert_mask,
			lt::alert_category::error | lt::alert_category::status |
				lt::alert_category::storage | lt::alert_category::tracker |
				lt::alert_category::port_mapping);
		auto shim = std::make_unique<lsp_shim>();
		lt::session_params params(std::move(pack));
		shim->session = std::make_unique<lt::session>(std::move(params));
		shim->session->set_alert_notify([notify, argument] { notify(argument); });
		*ret_shim = shim.release();
	});
}

void close(lsp_shim *shim, std::uint32_t milliseconds)
{
	if (!shim)
		return;
	lsp_error err = {};
	(void)guard(&err, "close", [&] {
		shim->session->set_alert_notify([] {});
		lt::session_proxy ending = shim->session->abort();
		shim->session.reset();
		wait_for_end(std::move(ending), std::chrono::milliseconds(milliseconds));
	});
	delete shim;
}

int apply(lsp_shim *shim, lsp_shim_setting const *settings, std::size_t count, lsp_error *err)
{
	return guard(err, "the settings cannot be applied",
		[&] { shim->session->apply_settings(pack_of(settings, count)); });
}

int setting(lsp_shim *shim, char const *name, lsp_shim_setting *ret_setting, lsp_error *err)
{
	return guard(err, "the settings cannot be read", [&] {
		std::uint32_t kind;
		int const which = setting_named(name, &kind);
		lt::settings_pack const pack = shim->session->get_settings();
		lsp_shim_setting result = {};
		result.name = lt::name_for_setting(which);
		result.kind = kind;
		if (kind == LSP_SHIM_TEXT) {
			shim->setting_text = pack.get_str(which);
			result.text = shim->setting_text.c_str();
		} else if (kind == LSP_SHIM_SWITCH) {
			result.number = pack.get_bool(which);
		} else {
			result.number = pack.get_int(which);
		}
		*ret_setting = result;
	});
}

char const *setting_name(std::size_t index)
{
	using lt::settings_pack;
	static constexpr struct {
		int base, count;
	} kinds[] = {{settings_pack::string_type_base, settings_pack::num_string_settings},
		{settings_pack::int_type_base, settings_pack::num_int_settings},
		{settings_pack::bool_type_base, settings_pack::num_bool_settings}};
	std::size_t at = index;
	for (auto const &kind : kinds) {
		if (at < std::size_t(kind.count))
			return lt::name_for_setting(kind.base + int(at));
		at -= std::size_t(kind.count);
	}
	return nullptr;
}

lt::address address_of(char const *text)
{
	lt::error_code code;
	lt::address const address = lt::make_address(text, code);
	if (code)
		throw failure(LSP_E_INVALID, std::string(text) + " is no address");
	return address;
}

int set_ip_filter(lsp_shim *shim, char const *const (*ranges)[2], std::size_t count, lsp_error *err)
{
	return guard(err, "the address filter cannot be set", [&] {
		lt::ip_filter filter;
		for (std::size_t i = 0; i < count; i++) {
			lt::address const first = address_of(ranges[i][0]);
			lt::address const last = address_of(ranges[i][1]);
			if (first.is_v4() != last.is_v4() || last < first)
				throw failure(LSP_E_INVALID, std::string(ranges[i][0]) + "-" +
								     ranges[i][1] +
								     " is no range of addresses");
			filter.add_rule(first, last, lt::ip_filter::blocked);
		}
		shim->session->set_ip_filter(std::move(filter));
	});
}

/*
 * Peers of the classes that the filter gives an address: both are bits of a mask. In the library's
 * own filter an address of a local network is only local, and escapes the global limits.
 */
int limit_lan(lsp_shim *shim, int on, lsp_error *err)
{
	return guard(err, "the classes of peers cannot be set", [&] {
		lt::ip_filter filter;
		std::uint32_t const global = 1u << std::uint32_t(lt::session::global_peer_class_id);
		std::uint32_t const local = 1u << std::uint32_t(lt::session::local_peer_class_id);
		auto add = [&](char const *first, char const *last, std::uint32_t classes) {
			filter.add_rule(address_of(first), address_of(last), classes);
		};
		/* Who is local is always unchoked; so is nobody else, or there were no slots. */
		static char const *const lan[][2] = {{"10.0.0.0", "10.255.255.255"},
			{"172.16.0.0", "172.31.255.255"}, {"192.168.0.0", "192.168.255.255"},
			{"169.254.0.0", "169.254.255.255"}, {"127.0.0.0", "127.255.255.255"},
			{"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
			{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, {"::1", "::1"}};
		add("0.0.0.0", "255.255.255.255", global);
		add("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", global);
		for (auto const &range : lan)
			add(range[0], range[1], on ? global | local : local);
		shim->session->set_peer_class_filter(filter);
	});
}

int add_dht_node(lsp_shim *shim, char const *host, std::uint32_t port, lsp_error *err)
{
	return guard(err, "the DHT node cannot be added", [&] {
		shim->session->add_dht_node({host, int(port)});
	});
}

int halt(lsp_shim *shim, lsp_error *err)
{
	return guard(err, "the session cannot be paused", [&] { shim->session->pause(); });
}

void post_updates(lsp_shim *shim)
{
	(void)guard(nullptr, "post_torrent_updates", [&] {
		shim->session->post_torrent_updates(
			lt::torrent_handle::query_accurate_download_counters);
	});
}

void post_counts(lsp_shim *shim)
{
	(void)guard(nullptr, "post_session_stats", [&] { shim->session->post_session_stats(); });
}

} // namespace
} // namespace shim

lsp_shim_functions const *lsp_shim_libtorrent(void)
{
	static lsp_shim_functions const table = [] {
		lsp_shim_functions t = {};
		t.version = shim::version;
		t.open = shim::open;
		t.close = shim::close;
		t.apply = shim::apply;
		t.setting = shim::setting;
		t.setting_name = shim::setting_name;
		t.set_ip_filter = shim::set_ip_filter;
		t.limit_lan = shim::limit_lan;
		t.add_dht_node = shim::add_dht_node;
		t.pop = shim::pop;
		t.halt = shim::halt;
		t.post_updates = shim::post_updates;
		t.post_counts = shim::post_counts;
		shim::fill_sources(t);
		shim::fill_torrents(t);
		shim::fill_queries(t);
		return t;
	}();
	return &table;
}
