/* From libtorrent's alerts to ours. */
#include "torrent/shim_private.h"

#include <libtorrent/alert_types.hpp>
#include <libtorrent/session_stats.hpp>
#include <libtorrent/write_resume_data.hpp>

namespace shim
{

namespace
{

/* One alert on its way, with the texts it points into. */
struct translation {
	lsp_shim *shim;
	void (*each)(void *, lsp_shim_alert const *);
	void *argument;
	lsp_shim_alert out;
	std::string text, error;

	void send(lsp_shim_alert_type type)
	{
		out.type = type;
		out.text = text.c_str();
		out.error = error.c_str();
		each(argument, &out);
	}

	void fail(lt::error_code const &code)
	{
		error = code.message();
		out.code = code == boost::system::errc::no_space_on_device ? LSP_SHIM_NO_SPACE : 0;
	}
};

/* NULL: it is gone, or never was. */
shim_torrent *torrent_of(lsp_shim *shim, lt::client_data_t const &data)
{
	auto const at = shim->torrents.find(number_of(data));
	return at == shim->torrents.end() ? nullptr : at->second.get();
}

void on_added(translation &t, lt::add_torrent_alert const &alert)
{
	t.out.torrent = number_of(alert.params.userdata);
	auto const at = t.shim->torrents.find(t.out.torrent);
	if (alert.error) {
		t.fail(alert.error);
		t.out.number = alert.error == lt::errors::duplicate_torrent;
		if (at != t.shim->torrents.end())
			t.shim->torrents.erase(at);
	} else if (at != t.shim->torrents.end()) {
		at->second->handle = alert.handle;
	}
	t.send(LSP_SHIM_ALERT_ADDED);
}

void on_removed(translation &t, lt::torrent_removed_alert const &alert)
{
	t.out.torrent = number_of(alert.userdata);
	t.send(LSP_SHIM_ALERT_REMOVED);
	t.shim->torrents.erase(t.out.torrent);
}

void on_deleted(translation &t, lt::info_hash_t const &hashes, lt::error_code const &code)
{
	auto const at = t.shim->deleting.find(hash_key(hashes));
	if (at == t.shim->deleting.end())
		return;
	t.out.torrent = at->second;
	t.shim->deleting.erase(at);
	if (code && code != boost::system::errc::no_such_file_or_directory) {
		t.fail(code);
		t.send(LSP_SHIM_ALERT_DELETE_FAILED);
	} else {
		t.send(LSP_SHIM_ALERT_DELETED); /* or there was nothing to delete */
	}
}

void on_resume_data(translation &t, lt::save_resume_data_alert const &alert)
{
	std::vector<char> const bytes = lt::write_resume_data_buf(alert.params);
	t.out.data = {bytes.data(), bytes.size()};
	t.send(LSP_SHIM_ALERT_RESUME_DATA);
}

void on_status(translation &t, lt::state_update_alert const &alert)
{
	lsp_shim_status status;
	std::string error;
	for (lt::torrent_status const &from : alert.status) {
		auto *torrent = torrent_of(t.shim, from.handle.userdata());
		if (!torrent || alert.timestamp() < torrent->asked)
			continue;
		t.out.torrent = torrent->number;
		status_of(from, *torrent, error, status);
		t.out.status = &status;
		t.send(LSP_SHIM_ALERT_STATUS);
	}
}

/* A check reads all that it hashes; of what has just come most is hashed before it is written. */
void on_counted(translation &t, lt::session_stats_alert const &alert)
{
	static int const read_back = lt::find_metric_idx("disk.num_read_back");
	constexpr std::int64_t block_size = 16 * 1024;
	if (read_back >= 0)
		t.out.number = alert.counters()[read_back] * block_size;
	t.send(LSP_SHIM_ALERT_COUNTED);
}

/* What of the session's own is told once and never again. */
bool is_told_once(int type)
{
	return type == lt::listen_succeeded_alert::alert_type ||
	       type == lt::listen_failed_alert::alert_type ||
	       type == lt::portmap_alert::alert_type || type == lt::portmap_error_alert::alert_type;
}

void on_dropped(translation &t, lt::alerts_dropped_alert const &alert)
{
	for (std::size_t type = 0; type < alert.dropped_alerts.size(); type++)
		if (alert.dropped_alerts[type] && is_told_once(int(type)))
			t.out.number = 1;
	t.send(LSP_SHIM_ALERT_DROPPED);
}

/* About the session. True where it was one of these. */
bool session_alert(translation &t, lt::alert const *alert)
{
	if (auto const *listening = lt::alert_cast<lt::listen_succeeded_alert>(alert)) {
		t.text = text_of({listening->address, std::uint16_t(listening->port)});
		t.out.number = listening->socket_type == lt::socket_type_t::tcp;
		t.send(LSP_SHIM_ALERT_LISTENING);
	} else if (auto const *failed = lt::alert_cast<lt::listen_failed_alert>(alert)) {
		t.text = text_of({failed->address, std::uint16_t(failed->port)});
		t.out.number = failed->socket_type == lt::socket_type_t::tcp;
		t.fail(failed->error);
		t.send(LSP_SHIM_ALERT_LISTEN_FAILED);
	} else if (lt::alert_cast<lt::portmap_alert>(alert)) {
		t.send(LSP_SHIM_ALERT_PORT_MAPPED);
	} else if (auto const *unmapped = lt::alert_cast<lt::portmap_error_alert>(alert)) {
		t.fail(unmapped->error);
		t.send(LSP_SHIM_ALERT_PORT_MAP_FAILED);
	} else if (auto const *dropped = lt::alert_cast<lt::alerts_dropped_alert>(alert)) {
		on_dropped(t, *dropped);
	} else if (auto const *broken = lt::alert_cast<lt::session_error_alert>(alert)) {
		t.error = broken->message();
		t.send(LSP_SHIM_ALERT_SESSION_ERROR);
	} else if (auto const *update = lt::alert_cast<lt::state_update_alert>(alert)) {
		on_status(t, *update);
	} else if (auto const *counted = lt::alert_cast<lt::session_stats_alert>(alert)) {
		on_counted(t, *counted);
	} else {
		return false;
	}
	return true;
}

/* Of a torrent that comes or goes, whose handle says nothing. */
bool life_alert(translation &t, lt::alert const *alert)
{
	if (auto const *added = lt::alert_cast<lt::add_torrent_alert>(alert))
		on_added(t, *added);
	else if (auto const *removed = lt::alert_cast<lt::torrent_removed_alert>(alert))
		on_removed(t, *removed);
	else if (auto const *deleted = lt::alert_cast<lt::torrent_deleted_alert>(alert))
		on_deleted(t, deleted->info_hashes, {});
	else if (auto const *undeleted = lt::alert_cast<lt::torrent_delete_failed_alert>(alert))
		on_deleted(t, undeleted->info_hashes, undeleted->error);
	else
		return false;
	return true;
}

/* Not tried from this address of ours, but from another. */
bool goes_another_way(lt::tracker_error_alert const &failed)
{
	if (failed.error != lt::error_code(lt::errors::announce_skipped))
		return false;
	for (lt::announce_entry const &tracker : failed.handle.trackers())
		if (tracker.url == failed.tracker_url())
			return !is_out_of_reach(tracker, failed.version);
	return true;
}

bool tracker_alert(translation &t, lt::alert const *alert)
{
	if (auto const *reply = lt::alert_cast<lt::tracker_reply_alert>(alert)) {
		t.text = reply->tracker_url();
		t.out.number = reply->num_peers;
		t.send(LSP_SHIM_ALERT_TRACKER_REPLY);
	} else if (auto const *warning = lt::alert_cast<lt::tracker_warning_alert>(alert)) {
		t.text = warning->tracker_url();
		t.error = warning->warning_message();
		t.send(LSP_SHIM_ALERT_TRACKER_WARNING);
	} else if (auto const *failed = lt::alert_cast<lt::tracker_error_alert>(alert)) {
		t.text = failed->tracker_url();
		t.error = *failed->failure_reason() ? failed->failure_reason()
						    : failed->error.message();
		if (!goes_another_way(*failed))
			t.send(LSP_SHIM_ALERT_TRACKER_ERROR);
	} else if (auto const *seed = lt::alert_cast<lt::url_seed_alert>(alert)) {
		t.text = seed->server_url();
		t.error = seed->error ? seed->error.message() : seed->error_message();
		t.send(LSP_SHIM_ALERT_WEB_SEED_ERROR);
	} else {
		return false;
	}
	return true;
}

bool storage_alert(translation &t, lt::alert const *alert)
{
	if (auto const *saved = lt::alert_cast<lt::save_resume_data_alert>(alert)) {
		on_resume_data(t, *saved);
	} else if (auto const *unsaved = lt::alert_cast<lt::save_resume_data_failed_alert>(alert)) {
		t.fail(unsaved->error);
		t.out.number = unsaved->error == lt::errors::resume_data_not_modified;
		t.send(LSP_SHIM_ALERT_RESUME_FAILED);
	} else if (auto const *rejected = lt::alert_cast<lt::fastresume_rejected_alert>(alert)) {
		t.fail(rejected->error);
		t.text = rejected->file_path();
		t.send(LSP_SHIM_ALERT_RESUME_REJECTED);
	} else if (auto const *moved = lt::alert_cast<lt::storage_moved_alert>(alert)) {
		t.text = moved->storage_path();
		t.send(LSP_SHIM_ALERT_MOVED);
	} else if (auto const *stuck = lt::alert_cast<lt::storage_moved_failed_alert>(alert)) {
		t.fail(stuck->error);
		t.text = stuck->file_path();
		t.send(LSP_SHIM_ALERT_MOVE_FAILED);
	} else if (auto const *file = lt::alert_cast<lt::file_error_alert>(alert)) {
		t.fail(file->error);
		t.text = file->filename();
		t.send(LSP_SHIM_ALERT_FILE_ERROR);
	} else {
		return false;
	}
	return true;
}

void state_alert(translation &t, lt::alert const *alert)
{
	if (auto const *changed = lt::alert_cast<lt::state_changed_alert>(alert)) {
		t.out.number = state_of(changed->state);
		t.send(LSP_SHIM_ALERT_STATE);
	} else if (lt::alert_cast<lt::torrent_finished_alert>(alert)) {
		t.send(LSP_SHIM_ALERT_FINISHED);
	} else if (lt::alert_cast<lt::torrent_checked_alert>(alert)) {
		t.send(LSP_SHIM_ALERT_CHECKED);
	} else if (lt::alert_cast<lt::torrent_paused_alert>(alert)) {
		t.send(LSP_SHIM_ALERT_PAUSED);
	} else if (lt::alert_cast<lt::torrent_resumed_alert>(alert)) {
		t.send(LSP_SHIM_ALERT_RESUMED);
	} else if (lt::alert_cast<lt::metadata_received_alert>(alert)) {
		t.send(LSP_SHIM_ALERT_METADATA);
	} else if (auto const *metadata = lt::alert_cast<lt::metadata_failed_alert>(alert)) {
		t.fail(metadata->error);
		t.send(LSP_SHIM_ALERT_METADATA_FAILED);
	} else if (auto const *failed = lt::alert_cast<lt::torrent_error_alert>(alert)) {
		t.fail(failed->error);
		t.text = failed->filename();
		t.send(LSP_SHIM_ALERT_TORRENT_ERROR);
	} else if (auto const *conflict = lt::alert_cast<lt::torrent_conflict_alert>(alert)) {
		t.error = "another torrent here is the same one by its other info-hash";
		(void)conflict;
		t.send(LSP_SHIM_ALERT_TORRENT_ERROR);
	}
}

void translate(translation &t, lt::alert const *alert)
{
	if (session_alert(t, alert) || life_alert(t, alert))
		return;
	auto const *about = dynamic_cast<lt::torrent_alert const *>(alert);
	if (!about)
		return;
	/* Of one that was removed there is still to come what its trackers are told and say. */
	shim_torrent const *const torrent = torrent_of(t.shim, about->handle.userdata());
	if (!torrent)
		return;
	t.out.torrent = torrent->number;
	if (!tracker_alert(t, alert) && !storage_alert(t, alert))
		state_alert(t, alert);
}

} // namespace

void pop(lsp_shim *session, void (*each)(void *, lsp_shim_alert const *), void *argument)
{
	std::vector<lt::alert *> alerts;
	bool lost = false;
	for (;;) {
		lsp_error err = {};
		if (guard(&err, "alerts", [&] { session->session->pop_alerts(&alerts); }) < 0 ||
			alerts.empty())
			break;
		for (lt::alert const *alert : alerts) {
			int const r = guard(&err, "an alert", [&] {
				translation t = {session, each, argument, {}, {}, {}};
				translate(t, alert);
			});
			lost = lost || r < 0; /* no memory */
		}
	}
	if (lost) {
		lsp_shim_alert out = {};
		out.type = LSP_SHIM_ALERT_DROPPED;
		out.text = out.error = "";
		each(argument, &out);
	}
}

} // namespace shim
