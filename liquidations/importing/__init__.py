"""Forced orders from files and from other services: found, opened, recognised, read, checked, handed to a writer.

Nothing here imports Django; the writer is passed in. `run` is the loop, and everything else serves it.
"""
