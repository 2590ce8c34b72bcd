/* A file that one process at a time holds: two that write the same files would ruin
   them. */
#ifndef FMAL_LOCKFILE_H
#define FMAL_LOCKFILE_H

#include <stdbool.h>

#include "fmal/status.h"

/* A plain value; fd is -1 while nothing is held. */
typedef struct lockfile {
    int fd;
    char path[4096];
} lockfile;

/* Make the file if it is not there, and hold it until lockfile_drop or the end of the
   process, whatever ends it. A file system that knows no locks is taken at its word.

   FMAL_ERR_IO: it cannot be made, or another process holds it; `busy` then says what
   that means, and `stop_file` what ends the other. Root only. */
fmal_status lockfile_take(lockfile *lock, const char *path, const char *busy,
                          const char *stop_file);

/* Let go, and remove the file if so asked; nothing if none is held. */
void lockfile_drop(lockfile *lock, bool and_remove);

#endif
