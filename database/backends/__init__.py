"""Django's database backends, where they need to be different."""
