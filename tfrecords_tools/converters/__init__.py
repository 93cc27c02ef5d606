"""Converters: a module for each data set of videos or images on disk.

Each has `prepare(out_dir, source_dir, options, **writing)`, or several `prepare_...` for variants.

Args:
    out_dir: folder of the data set, which appears when it is complete.
    source_dir: folder of the raw material; the module says what is in it.
    options: which clips become videos, and how; by default the `...Options()` of the module.
    **writing: `skip_unreadable`, `overwrite` and `progress` of `conversion.write_dataset`.

Returns:
    The description of the data set, a `DatasetInfo`.

Raises:
    ConversionError: there is no source_dir or it has another layout, files are unreadable (each
        is named), or out_dir exists or cannot be written. Nothing is written then.

Example:
    >>> chairs.prepare("data/chairs", "rendered_chairs", ChairOptions(models=100, frames=31))
"""
