"""The project's two kinds of error; whoever catches one knows from its kind what to do.

What may work later, such as a store that does not answer, is a built-in `ConnectionError`: it is
raised only after the client's own retries.
"""

import errno
import os


class BadInput(Exception):
    """What the user gave cannot be used: it is refused by name and everything else goes on."""


class UnknownVehicle(BadInput):
    """Nobody has heard of the vehicle: it has neither uploads nor a partition nor a listing."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no vehicle {name}; `okla status` names those there are")


class BrokenSetup(Exception):
    """The installation cannot work until a person acts: stop; the message says what to do."""


class Unreadable(BrokenSetup):
    """One file, folder or object may not be read, though the store works.

    Whoever has others to go on with names it and goes on; for all others it is a BrokenSetup.
    """


_WHAT_TO_DO = {
    errno.ENOSPC: "free some space; the same command then goes on",
    errno.EDQUOT: "free some space; the same command then goes on",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "allow this user to use it, or choose another",
    errno.EPERM: "allow this user to use it, or choose another",
    errno.EMFILE: "allow this process more open files (ulimit -n)",
    errno.ENFILE: "allow this machine more open files",
    errno.EIO: "look after the disk",
}


def system_sentence(error: OSError) -> str:
    """An error of the operating system as one sentence: what, why, and what to do."""
    if error.errno is None or error.strerror is None:
        return str(error)
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*names, system_reason(error)])


def system_reason(error: OSError) -> str:
    """The same without the file's name."""
    reason = error.strerror or str(error)
    what_to_do = _WHAT_TO_DO.get(error.errno or 0)
    return f"{reason}; {what_to_do}" if what_to_do else reason
