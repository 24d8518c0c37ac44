"""Rows of a cache in one allocation, token after token."""

from collections.abc import Callable

from torch import Tensor

# Tokens by which an allocation grows.
BLOCK = 128


class TokenBuffer:
    """Rows [batch, heads, tokens, width]; tokens are added at the end and dropped at either end."""

    def __init__(self, like: Tensor, heads: int, width: int) -> None:
        self._data = like.new_empty((like.shape[0], heads, 0, width))
        self._start = 0
        self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def rows(self) -> Tensor:
        """What is held, [batch, heads, tokens, width], without a copy."""
        return self._data[:, :, self._start : self._stop]

    def append(self, rows: Tensor) -> None:
        added = rows.shape[2]
        if self._stop + added > self._data.shape[2]:
            self._allocate(self.rows, len(self) + added)
        self._data[:, :, self._stop : self._stop + added] = rows
        self._stop += added

    def drop_front(self, tokens: int) -> None:
        self._start = min(self._start + max(tokens, 0), self._stop)

    def drop_back(self, tokens: int) -> None:
        self._stop = max(self._stop - max(tokens, 0), self._start)

    def change_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        """Replaces the rows by `change` of them, which may differ in the first dimension."""
        rows = change(self.rows)
        self._allocate(rows, rows.shape[2])

    def nbytes(self, allocated: bool = False) -> int:
        """Bytes of what is held, or of the whole allocation."""
        rows = self._data if allocated else self.rows
        return rows.numel() * rows.element_size()

    def _allocate(self, rows: Tensor, tokens: int) -> None:
        batch, heads, held, width = rows.shape
        self._data = rows.new_empty((batch, heads, -(-tokens // BLOCK) * BLOCK, width))
        self._data[:, :, :held] = rows
        self._start, self._stop = 0, held
