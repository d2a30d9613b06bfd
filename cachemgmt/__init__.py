"""The response cache: rendered answers, kept where every process can read them.

Apps register namespaces (what is cached, under which key, for how long, what makes it outdated) and warmers; views
answer with `responses.respond`. Nothing here knows what the answers are about.
"""
