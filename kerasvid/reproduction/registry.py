"""The published tables by name: one line registers a paper's file."""

from kerasvid.naming import nearest_names
from kerasvid.reproduction import (
    between_frames,
    non_adversarial,
    residual_vectors,
    sprites_disentanglement,
)
from kerasvid.reproduction.published import Table

TABLES: dict[str, Table] = {
    table.name: table
    for paper in (residual_vectors, non_adversarial, between_frames, sprites_disentanglement)
    for table in paper.TABLES
}


def published_table(name: str) -> Table:
    """The table of a name.

    Raises:
        ValueError: the name is unknown; the message names near ones.

    Example:
        >>> published_table("residual_vectors/3").clips
        624
    """
    if name not in TABLES:
        raise ValueError(f"no table {name!r}: {nearest_names(name, TABLES)}.")
    return TABLES[name]


def describe_tables() -> str:
    """The tables, a line each, with the data sets that they are of and what stands in."""
    lines, width = ["Tables (--table):"], max(map(len, TABLES)) + 1
    for name, table in TABLES.items():
        lines.append(f"  {name:<{width}}{table.title}")
        for part in table.parts:
            others = ", ".join(each for each in part.stand_ins if each != part.usual)
            usual = f"{part.usual} by default" + (f", or {others}" if others else "")
            lines.append(f"  {'':<{width}}  {part.name} ({part.dataset}): {usual}")
    return "\n".join(lines)
