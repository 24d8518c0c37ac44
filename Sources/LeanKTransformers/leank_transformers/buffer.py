"""Rows of a cache in one allocation, token after token."""

from collections.abc import Callable

from torch import Tensor

# An allocation is a multiple of so many tokens, and grows by a sixteenth at least, so that tokens are seldom copied.
BLOCK, GROWTH = 128, 16


class TokenBuffer:
    """Rows [batch, heads, tokens, width]; tokens are added at the end and dropped at either end."""

    def __init__(self, like: Tensor, heads: int, width: int) -> None:
        self.data = like.new_empty((like.shape[0], heads, 0, width))
        self.start = 0
        self.stop = 0

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rows(self) -> Tensor:
        """What is held, [batch, heads, tokens, width], without a copy."""
        return self.data[:, :, self.start : self.stop]

    def append(self, rows: Tensor) -> None:
        self.extend(rows.shape[2])
        self.data[:, :, self.stop - rows.shape[2] : self.stop] = rows

    def extend(self, tokens: int) -> None:
        """Adds tokens whose rows are still to be written."""
        if self.stop + tokens > self.data.shape[2]:
            held = len(self)
            self._allocate(self.rows, held + max(tokens, held // GROWTH))
        self.stop += tokens

    def drop_front(self, tokens: int) -> None:
        self.start = min(self.start + max(tokens, 0), self.stop)

    def drop_back(self, tokens: int) -> None:
        self.stop = max(self.stop - max(tokens, 0), self.start)

    def change_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        """Replaces the rows by `change` of them, which may differ in the first dimension."""
        rows = change(self.rows)
        self._allocate(rows, rows.shape[2])

    def nbytes(self, allocated: bool = False) -> int:
        """Bytes of what is held, or of the whole allocation."""
        rows = self.data if allocated else self.rows
        return rows.numel() * rows.element_size()

    def _allocate(self, rows: Tensor, tokens: int) -> None:
        batch, heads, held, width = rows.shape
        self.data = rows.new_empty((batch, heads, -(-tokens // BLOCK) * BLOCK, width))
        self.data[:, :, :held] = rows
        self.start, self.stop = 0, held
