"""The three kinds of error of this project; whoever catches one knows from its kind what to do."""


class BadInput(Exception):
    """What the user gave cannot be used: it is refused by name and everything else goes on."""


class TransientError(Exception):
    """Something outside failed and may well work next time: the step is worth a retry."""


class BrokenSetup(Exception):
    """The installation cannot work until a person acts: stop; the message says what to do."""
