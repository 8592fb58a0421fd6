#include "os_file.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <stdint.h>
#include <stdlib.h>
#include <windows.h>

static HANDLE open_file(const char *path) {
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
    if (!wide) return INVALID_HANDLE_VALUE;
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, length);
    HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    free(wide);
    return file;
}

const char *map_file(const char *path, MappedFile *mapped) {
    *mapped = (MappedFile){NULL, 0};
    HANDLE file = open_file(path);
    if (file == INVALID_HANDLE_VALUE) return "cannot be opened";
    LARGE_INTEGER size;
    HANDLE mapping = NULL;
    if (GetFileSizeEx(file, &size) && size.QuadPart > 0 && (uint64_t)size.QuadPart <= SIZE_MAX)
        mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    /* After the handles are closed, the view keeps the mapping open, and the mapping keeps the file open. */
    if (mapping) {
        mapped->data = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
        CloseHandle(mapping);
    }
    CloseHandle(file);
    if (!mapped->data) return "cannot be mapped";
    mapped->size = (size_t)size.QuadPart;
    return NULL;
}

void unmap_file(MappedFile *mapped) {
    if (mapped->data) UnmapViewOfFile(mapped->data);
    *mapped = (MappedFile){NULL, 0};
}

#else
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *map_file(const char *path, MappedFile *mapped) {
    *mapped = (MappedFile){NULL, 0};
    /* If the path is a pipe, open would wait for a writer without O_NONBLOCK. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return errno == ENOMEM ? "too little memory" : "cannot be opened";
    struct stat status;
    void *data = MAP_FAILED;
    size_t size = 0;
    if (!fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size > 0) {
        size = (size_t)status.st_size;
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    const int short_of_memory = data == MAP_FAILED && size > 0 && errno == ENOMEM;
    close(file);
    if (short_of_memory) return "too little memory";
    if (data == MAP_FAILED) return "cannot be mapped";
    *mapped = (MappedFile){data, size};
    return NULL;
}

void unmap_file(MappedFile *mapped) {
    if (mapped->data) munmap(mapped->data, mapped->size);
    *mapped = (MappedFile){NULL, 0};
}
#endif
