"""The error tree.

EdgeBertError
├── InputError                 an argument, file or setting cannot be used; the command line exits with 2
│   ├── SettingsError          a recipe, profile or suite: unknown key, wrong type, impossible value
│   ├── DataError              a data file: missing, empty, malformed, unknown label
│   │   ├── MissingColumnError the file lacks a requested column
│   │   └── EmptyCellError     a row has an empty cell; it can be skipped
│   ├── CheckpointError        a model folder: incomplete, unsupported, pickled weights
│   ├── BundleError            a bundle: missing, truncated or altered file, unknown format
│   ├── TextError              a text that the runtime refuses
│   ├── MissingDependencyError a package of an extra is not installed
│   ├── DiskError              the output folder cannot be written, or its disk is full
│   ├── BusyError              another process writes to the output folder
│   └── TargetError            a machine to measure on does not answer, or its answer is not EdgeBERT's
└── RunError                   the work itself failed; the command line exits with 1
    └── ParityError            an exported graph disagrees with the model it came from

SaturationWarning              a warning: INT8 sums of a bundle saturate on this CPU
FallbackWarning                a warning: a bundle's default runtime cannot run here; the next one is used
UnknownLabelWarning            a warning: a data file has labels that the model does not have

Every message is one line: the fact, the value, the remedy.
"""

MAX_MESSAGE = 4_000


class EdgeBertError(Exception):
    """Base of every error that EdgeBERT raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message in one line, with escapes in place of characters that a terminal could obey.

        Names and values in a message may come from a file that anybody wrote. A long message is shortened in the
        middle.
        """
        message = super().__str__()
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE // 2]} … {message[-MAX_MESSAGE // 2 :]}"
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)


class InputError(EdgeBertError):
    """An argument, file or setting cannot be used."""

    exit_code = 2


class SettingsError(InputError):
    """A recipe, profile or suite holds an unknown key, a wrong type or an impossible value."""


class DataError(InputError):
    """A data file is missing, empty or malformed, or holds a label that is not known."""


class MissingColumnError(DataError):
    """A data file lacks a requested column (or key)."""

    def __init__(self, message: str, column: str) -> None:
        """Store the message, and the column's name as requested."""
        super().__init__(message)
        self.column = column


class EmptyCellError(DataError):
    """A row of a data file has an empty cell where a text or a label is expected."""

    def __init__(self, message: str) -> None:
        """Store the message, and add the option that skips such rows."""
        super().__init__(f"{message}; fill it, or skip such rows: --skip-empty, in a recipe data.skip_empty = true")


class CheckpointError(InputError):
    """A model folder is incomplete, unsupported, or carries pickled weights only."""


class BundleError(InputError):
    """A bundle has a missing, truncated or altered file, or a format that is not known."""


class TextError(InputError):
    """The runtime refuses a text."""


class MissingDependencyError(InputError):
    """A package is not installed; the message names the extra that installs it."""


class RunError(EdgeBertError):
    """The work itself failed."""


class ParityError(RunError):
    """An exported graph disagrees with the PyTorch model it was made from."""


class DiskError(InputError):
    """The output folder cannot be written, or its disk is full."""


class BusyError(InputError):
    """Another process writes to the output folder; the message names it."""


class TargetError(InputError):
    """A machine to measure on does not answer, or its answer is not EdgeBERT's."""


class SaturationWarning(UserWarning):
    """INT8 sums of a bundle saturate on this CPU, so its answers are less accurate than on other CPUs."""


class FallbackWarning(UserWarning):
    """A bundle's default runtime cannot run in this installation; the bundle's next runtime is used."""


class UnknownLabelWarning(UserWarning):
    """A data file has labels that the model does not have; they count as wrong."""
