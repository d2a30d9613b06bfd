"""The symbols that clients may ask for: how they are found, listed and shown."""
