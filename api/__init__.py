"""What every app's REST views share: errors with their status codes, query parameters, JSON rendering.

Not a Django app: no models, no URLs. It imports none of the apps and every app may import it.
"""
