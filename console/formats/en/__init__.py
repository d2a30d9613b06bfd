"""Django looks here for the formats of its language."""
