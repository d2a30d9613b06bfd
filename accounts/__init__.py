"""Who may do what: users, roles, API keys, tokens, rate limits and the audit log."""
