"""The pages: each module lists its own as ``pages``."""
