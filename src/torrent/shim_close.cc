/* The end of a session, which may take longer than anybody waits: decision 0018. */
#include "torrent/shim_private.h"

#include <future>
#include <thread>

namespace shim
{

void wait_for_end(lt::session_proxy ending, std::chrono::milliseconds patience)
{
	std::promise<void> promise;
	std::future<void> const ended = promise.get_future();
	std::thread([ending = std::move(ending), promise = std::move(promise)]() mutable {
		{ /* who drops the last of it waits for the library's threads */
			lt::session_proxy const last = std::move(ending);
		}
		promise.set_value();
	}).detach();
	ended.wait_for(patience);
}

} // namespace shim
