"""The operators' console: Django's admin with pages of ours, each of which sees all apps below it."""
