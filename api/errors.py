"""The errors that views raise. How they look on the wire is decided once, by the project (`liqui.errors`)."""

from collections.abc import Sequence
from typing import Any

from rest_framework.exceptions import APIException


class BadRequest(APIException):
    """400: the parameters are well formed, but what they ask makes no sense."""

    status_code = 400
    default_detail = "Bad Request"
    default_code = "bad_request"


class UnprocessableParameters(APIException):
    """422: parameters that could not be read; ``errors`` are FastAPI's items (type, loc, msg, input[, ctx])."""

    status_code = 422
    default_detail = "Unprocessable parameters"
    default_code = "unprocessable"

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self.errors = list(errors)


class ServiceUnavailable(APIException):
    """503: nothing is wrong with the request; ``retry_after`` (seconds) becomes the Retry-After header."""

    status_code = 503
    default_detail = "Service unavailable"
    default_code = "unavailable"

    def __init__(self, detail: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        # Django REST framework's name for it.
        self.wait = retry_after


class TooManyStreams(ServiceUnavailable):
    """503: each stream holds a database connection, and all that may be held are."""

    default_detail = "Too many streams are open"

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__(retry_after=retry_after)
