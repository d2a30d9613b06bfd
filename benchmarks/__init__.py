"""`make bench`: our answers beside the original's queries, on one table, in one run. Prints; leaves nothing behind."""
