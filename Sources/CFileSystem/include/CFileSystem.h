#ifndef LEANK_CFILESYSTEM_H
#define LEANK_CFILESYSTEM_H

#include <stdint.h>

// System calls that Swift's Glibc module does not show, because they need _GNU_SOURCE, and their
// counterparts elsewhere. All return -1 and set errno on failure.

// Copies up to `count` bytes of `source` from `offset` on to the position of `target`, inside the
// kernel. Returns the number of bytes copied; ENOSYS where there is no such call.
int64_t leank_copy_file_range(int source, int64_t offset, int target, int64_t count);

// Renames an entry of `directory` and fails with EEXIST when `to` is there.
int leank_rename_exclusive(int directory, const char *from, const char *to);

// Exchanges two entries of `directory`.
int leank_rename_exchange(int directory, const char *one, const char *other);

// Takes an advisory lock that ends with the descriptor, without waiting for it. Fails with
// EWOULDBLOCK when another descriptor holds one that rules it out.
int leank_lock(int descriptor, int is_exclusive);

// fsync, down to the medium.
int leank_fsync(int descriptor);

// Asks for the pages of a range to be written soon, without waiting; does nothing where that
// cannot be asked for.
void leank_start_writeback(int descriptor, int64_t offset, int64_t count);

// Waits until the pages of a range are written and gives them back; -1 and errno where writing
// failed, which fsync would then not tell again. Does nothing where that cannot be asked for.
int leank_finish_writeback(int descriptor, int64_t offset, int64_t count);

#endif
