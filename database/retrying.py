"""Tries a transaction again that lost against another one."""

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from database.errors import is_busy

# A deadlock or a lock not had in time: the transaction was rolled back whole, so it may simply be repeated.
retry_when_busy = retry(
    retry=retry_if_exception(is_busy), stop=stop_after_attempt(8), wait=wait_random_exponential(0.05, 2), reraise=True
)
