"""Raw media to records: a converter a data set, a check, and what they share."""
