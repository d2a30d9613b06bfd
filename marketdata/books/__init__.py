"""Order books: kept by a venue's rules, in sync or honest about it, and added up for display. No Django, no clock."""
