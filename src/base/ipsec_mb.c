#include "base/ipsec_mb.h"

IMB_MGR *lsp_ipsec_mb_new(uint64_t features)
{
	IMB_MGR *manager = alloc_mb_mgr(0);
	if (!manager)
		return NULL;
	bool able = (manager->features & features) == features;
	if (able)
		init_mb_mgr_auto(manager, NULL);
	if (able && imb_get_errno(manager) == 0)
		return manager;
	free_mb_mgr(manager);
	return NULL;
}
