"""The project's two kinds of error; whoever catches one knows from its kind what to do.

What may work later, such as a store that does not answer, is a built-in `ConnectionError`: it is
raised only after the client's own retries.
"""


class BadInput(Exception):
    """What the user gave cannot be used: it is refused by name and everything else goes on."""


class BrokenSetup(Exception):
    """The installation cannot work until a person acts: stop; the message says what to do."""
