"""What the cache's tests share."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client


@pytest.fixture
def ask(client: Client) -> Callable[..., Any]:
    """GET ``path`` with the keyword arguments as parameters."""
    return lambda path, **parameters: client.get(path, parameters)
