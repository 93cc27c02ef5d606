"""Data sets made from another data set, record by record, without decoding a frame."""
