from django.apps import AppConfig


class CacheManagementConfig(AppConfig):
    name = "cachemgmt"
    verbose_name = "Response cache"

    def ready(self) -> None:
        from cachemgmt.stores import store

        # Now, while there is one thread: two would make two stores.
        store()
