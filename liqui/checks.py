"""Faults of the configuration as Django's system checks; `liqui.settings.environment` finds them."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register("liqui")
def check_environment(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Every `Problem` of the environment, under its id."""
    return [Error(problem.message, hint=problem.hint, id=problem.id) for problem in settings.ENVIRONMENT.problems]
