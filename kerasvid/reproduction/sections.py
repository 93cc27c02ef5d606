"""Which data sets a table is reproduced on, and what of it belongs to each."""

import dataclasses
from collections.abc import Sequence

from kerasvid.reproduction.published import Part, Row, Table


@dataclasses.dataclass(frozen=True)
class Section:
    """What is trained on one data set, with the published parts that it stands beside.

    Args:
        dataset: name of what is trained on.
        parts: of the published table, that have the same rows.
        rows: in the published order, each with the key of its training, or `None`.
    """

    dataset: str
    parts: tuple[Part, ...]
    rows: tuple[tuple[Row, str | None], ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the trainings of all rows, each once."""
        return tuple(dict.fromkeys(key for _, key in self.rows if key is not None))


def sections_of(table: Table, datasets: Sequence[str] | None = None) -> tuple[Section, ...]:
    """The sections of a table.

    Args:
        table: published.
        datasets: to train on. Each goes to the parts that it is the data set of, or is a usual
            stand-in for; a data set that is neither of any goes to all parts. Where `None`, every
            part has its usual one.

    Example:
        >>> [s.dataset for s in sections_of(published_table("non_adversarial/2"))]
        ['turntable', 'weizmann/strips', 'shapes']
    """
    chosen: list[tuple[str, Part]] = []
    for name in datasets or ():
        own = [part for part in table.parts if part.dataset == name]
        fitting = own or [part for part in table.parts if name in part.stand_ins]
        chosen += [(name, part) for part in fitting or table.parts]
    if not datasets:
        chosen = [(part.usual, part) for part in table.parts]
    joined: dict[tuple, list[Part]] = {}
    for name, part in dict.fromkeys(chosen):
        joined.setdefault((name, _rows_of(table, part)), []).append(part)
    return tuple(
        Section(name, tuple(parts), tuple((table.rows[i], key) for i, key in rows))
        for (name, rows), parts in joined.items()
    )


def _rows_of(table: Table, part: Part) -> tuple[tuple[int, str | None], ...]:
    """The numbers of the rows of a part, with the keys of their trainings."""
    return tuple(
        (number, row.run_in(part.name))
        for number, row in enumerate(table.rows)
        if part.name in row.figures
    )
