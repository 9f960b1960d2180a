"""The private PostgreSQL and Valkey of an installation that was given none.

Both live in the data directory and end with the supervisor that started them.
"""
