"""Raw media to records: converters, drawn and derived data sets, and a check."""
