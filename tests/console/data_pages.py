"""Signing in to the console as somebody with a role, for tests of its data pages."""

from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client


def signed_in(role: str) -> Client:
    user, _ = User.objects.get_or_create(username=role)
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client(enforce_csrf_checks=False)
    client.force_login(user)
    return client


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode()
