"""A stand-in Azure Resource Manager over HTTPS, computed from what the guests really do.

``server`` has the sockets, ``gateway`` what ARM does before a resource provider sees a request (login, api-version,
throttling), the other modules are the resource providers: each has ``ROUTES`` and answers from ``cloud.Cloud``.
"""
