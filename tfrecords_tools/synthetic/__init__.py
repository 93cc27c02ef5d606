"""Data sets that are drawn by code; their `prepare` is as in `tfrecords_tools.converters`."""
