#define _GNU_SOURCE
#include "CFileSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int leank_lock(int descriptor, int is_exclusive) {
  return flock(descriptor, (is_exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
}

#if defined(__APPLE__)
#include <sys/stdio.h>

int64_t leank_copy_file_range(int source, int64_t offset, int target, int64_t count) {
  (void)source, (void)offset, (void)target, (void)count;
  errno = ENOSYS;
  return -1;
}

int leank_rename_exclusive(int directory, const char *from, const char *to) {
  return renameatx_np(directory, from, directory, to, RENAME_EXCL);
}

int leank_rename_exchange(int directory, const char *one, const char *other) {
  return renameatx_np(directory, one, directory, other, RENAME_SWAP);
}

// fsync alone leaves the data in the drive's cache there.
int leank_fsync(int descriptor) {
  if (fcntl(descriptor, F_FULLFSYNC) == 0) return 0;
  return errno == ENOTSUP || errno == EINVAL ? fsync(descriptor) : -1;
}

void leank_start_writeback(int descriptor, int64_t offset, int64_t count) {
  (void)descriptor, (void)offset, (void)count;
}

int leank_finish_writeback(int descriptor, int64_t offset, int64_t count) {
  (void)descriptor, (void)offset, (void)count;
  return 0;
}

#else

int64_t leank_copy_file_range(int source, int64_t offset, int target, int64_t count) {
  off64_t position = offset;
  return copy_file_range(source, &position, target, NULL, (size_t)count, 0);
}

int leank_rename_exclusive(int directory, const char *from, const char *to) {
  return renameat2(directory, from, directory, to, RENAME_NOREPLACE);
}

int leank_rename_exchange(int directory, const char *one, const char *other) {
  return renameat2(directory, one, directory, other, RENAME_EXCHANGE);
}

int leank_fsync(int descriptor) { return fsync(descriptor); }

void leank_start_writeback(int descriptor, int64_t offset, int64_t count) {
  sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

int leank_finish_writeback(int descriptor, int64_t offset, int64_t count) {
  unsigned flags =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (sync_file_range(descriptor, offset, count, flags) != 0)
    return errno == ENOSYS || errno == EINVAL || errno == ESPIPE ? 0 : -1;
  posix_fadvise(descriptor, offset, count, POSIX_FADV_DONTNEED);
  return 0;
}

#endif
