"""Converters write much to stderr, from C++ too, that says nothing to who exports."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def quiet_unless_failing() -> Iterator[None]:
    """Hides what is written to stderr within the block; shows it if the block fails otherwise
    than by a ValueError, an ImportError or an OSError, which say enough themselves.

    Example:
        >>> with quiet_unless_failing():
        ...     content = converter.convert()
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, (ValueError, ImportError, OSError, tf.errors.OpError)):
                hidden.seek(0)
                os.write(terminal, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
