/* Feeds every file of a folder to the fuzz target it is linked with: seeds, and what fuzzing found.
 */
#include "base/cleanup.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "rb");
	if (!file || fseek(file, 0, SEEK_END) < 0)
		return -1;
	long size = ftell(file);
	if (size < 0)
		return -1;
	rewind(file);
	/* Exactly as large as the input, so that the sanitizers see a read behind it. */
	_cleanup_free_ uint8_t *data = malloc(size ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
		return -1;
	return LLVMFuzzerTestOneInput(data, (size_t)size);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct dirent **entries;
	int count = scandir(argv[1], &entries, NULL, alphasort);
	int fed = 0, failed = count < 0;
	for (int i = 0; i < count; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
		if (entries[i]->d_name[0] != '.') {
			failed |= feed(path) != 0;
			fed++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	printf("%d inputs\n", fed);
	return failed || fed == 0;
}
