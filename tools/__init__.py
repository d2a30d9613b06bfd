"""What `make` runs: setting up, checking and testing. Nothing here is part of the running service."""
