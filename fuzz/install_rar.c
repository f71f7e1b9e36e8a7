/* Headers of RAR volumes, as a file: whatever is in them, the look ends and stays in its memory. */
#include "install/rar.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("rar", MFD_CLOEXEC);
	struct lsp_rar_facts facts;
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	lsp_rar_look(fd, 1000, &facts);
	assert(memchr(facts.encrypted_name, '\0', sizeof facts.encrypted_name));
	close(fd);
	return 0;
}
