/* Files of the operating system, mapped read-only. POSIX and Windows. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stddef.h>

typedef struct MappedFile {
    void *data; /* NULL: no file is mapped */
    size_t size;
} MappedFile;

/* Map a whole file; `path` is UTF-8 on Windows. Returns NULL on success, or the error: "cannot be opened", "cannot be
 * mapped", "too little memory". */
const char *map_file(const char *path, MappedFile *file);
void unmap_file(MappedFile *file);

#endif
