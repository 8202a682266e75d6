"""The project's two kinds of error; whoever catches one knows from its kind what to do.

What may work later, such as a store that does not answer, is a built-in `ConnectionError`: it is
raised only after the client's own retries.
"""


class BadInput(Exception):
    """What the user gave cannot be used: it is refused by name and everything else goes on."""


class BrokenSetup(Exception):
    """The installation cannot work until a person acts: stop; the message says what to do."""


class Unreadable(BrokenSetup):
    """One file, folder or object may not be read, though the store works.

    Whoever has others to go on with names it and goes on; for all others it is a BrokenSetup.
    """
