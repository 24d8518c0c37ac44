"""The one error of this package."""


class LeankError(ValueError):
    """Something that a pruned checkpoint, its mask or its cache cannot do; the message says what, and the way out."""
