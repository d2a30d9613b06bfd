"""What every app needs to know about the databases that liqui runs on: SQLite, MySQL 8 and MariaDB,
and about Redis.

Not a Django app: no models, no tables. It imports none of the apps and every app may import it.
"""
