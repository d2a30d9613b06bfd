from django.apps import AppConfig


class CacheManagementConfig(AppConfig):
    name = "cachemgmt"
    verbose_name = "Response cache"
