"""Where a client learns the endpoints and gets its token: App Service's way and Cloud Shell's way.

Tokens have the shape of Entra's (three parts, ``tid``, ``oid``, ``exp``); the stand-in signs them itself and takes no
other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qs

from lab.arm.cloud import Cloud
from lab.arm.errors import ArmError, unauthenticated
from lab.arm.exchange import Request, Response, Route

LOGIN_HOST = "login.microsoftonline.com"
LIFETIME = 86400
_CLIENT_ID = "b677c290-cf4b-4a8e-a60e-91ba650a4abe"
_AUDIENCES = ["https://management.core.windows.net/", "https://management.azure.com/"]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(cloud: Cloud, signed: str) -> str:
    return _encode(hmac.new(cloud.key, signed.encode(), hashlib.sha256).digest())


def token(cloud: Cloud, audience: str, *, user: str | None = None, lifetime: float = LIFETIME) -> str:
    """A bearer token; for a user when a name is given, else for a managed identity."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{cloud.tenant}/",
        "iat": now,
        "nbf": now,
        "exp": now + int(lifetime),
        "appid": _CLIENT_ID,
        "oid": cloud.object_id,
        "sub": cloud.object_id,
        "tid": cloud.tenant,
        "idtyp": "user" if user else "app",
        "ver": "1.0",
    }
    if user:
        claims["unique_name"] = claims["upn"] = user
    header = {"typ": "JWT", "alg": "HS256", "kid": "lab"}
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{_signature(cloud, signed)}"


def authenticate(cloud: Cloud, authorization: str | None) -> None:
    """Accept a bearer token that this cloud issued and that has not expired, else 401."""
    if not authorization:
        message = "Authentication failed. The 'Authorization' header is missing."
        raise unauthenticated("AuthenticationFailed", message, cloud.tenant)
    scheme, _, value = authorization.partition(" ")
    signed, _, signature = value.strip().rpartition(".")
    if scheme.lower() != "bearer" or not hmac.compare_digest(signature, _signature(cloud, signed)):
        raise unauthenticated("InvalidAuthenticationToken", "The access token is invalid.", cloud.tenant)
    payload = signed.rpartition(".")[2]
    expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    if expires < time.time():
        message = f"The access token expiry UTC time '{expires}' is earlier than current UTC time '{int(time.time())}'."
        raise unauthenticated("ExpiredAuthenticationToken", message, cloud.tenant)


def endpoints(cloud: Cloud, _: Request) -> Response:
    """What `az cloud register --endpoint-resource-manager` reads."""
    base = cloud.base_url
    return Response(
        body={
            "name": "vmagent-lab",
            "portal": "https://portal.azure.com",
            "authentication": {
                "loginEndpoint": f"https://{LOGIN_HOST}",
                "audiences": _AUDIENCES,
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "resourceManager": base,
            "graphAudience": "https://graph.windows.net/",
            "microsoftGraphResourceId": "https://graph.microsoft.com/",
            "gallery": "https://gallery.azure.com/",
            "batch": "https://batch.core.windows.net/",
            "media": "https://rest.media.azure.net",
            "sqlManagement": "https://management.core.windows.net:8443/",
            "activeDirectoryDataLake": "https://datalake.azure.net/",
            "logAnalyticsResourceId": "https://api.loganalytics.io",
            "suffixes": {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
        }
    )


def app_service_token(cloud: Cloud, request: Request) -> Response:
    """The IDENTITY_ENDPOINT of App Service: the caller proves itself with the header from its environment."""
    if not hmac.compare_digest(request.headers.get("x-identity-header", ""), cloud.identity_header):
        return Response(401, {"statusCode": 401, "message": "Unauthorized: X-IDENTITY-HEADER is missing or wrong."})
    resource = request.query.get("resource", _AUDIENCES[0])
    return Response(
        body={
            "access_token": token(cloud, resource),
            "expires_on": str(int(time.time()) + LIFETIME),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": _CLIENT_ID,
        }
    )


def cloud_shell_token(cloud: Cloud, request: Request) -> Response:
    """Cloud Shell's token endpoint: a form with ``resource``, and the ``Metadata`` header as a guard."""
    if request.headers.get("metadata", "").lower() != "true":
        error = ArmError(400, "bad_request_102", "Required metadata header not specified")
        return Response(400, error.body())
    resource = parse_qs(request.body.decode()).get("resource", [_AUDIENCES[0]])[0]
    now = int(time.time())
    return Response(
        body={
            "access_token": token(cloud, resource, user="lab@example.com"),
            "refresh_token": "",
            "expires_in": str(LIFETIME),
            "expires_on": str(now + LIFETIME),
            "not_before": str(now),
            "resource": resource,
            "token_type": "Bearer",
        }
    )


def openid_configuration(_: Cloud, request: Request) -> Response:
    """What msal asks the login host for before anything else."""
    tenant = request.parameters["authority"]
    base = f"https://{LOGIN_HOST}/{tenant}"
    return Response(
        body={
            "issuer": f"https://{LOGIN_HOST}/{{tenantid}}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
        }
    )


def instance_discovery(_: Cloud, __: Request) -> Response:
    """The list of known login hosts."""
    return Response(
        body={
            "tenant_discovery_endpoint": f"https://{LOGIN_HOST}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [
                {"preferred_network": LOGIN_HOST, "preferred_cache": "login.windows.net", "aliases": [LOGIN_HOST]}
            ],
        }
    )


ROUTES = (
    Route("GET", "/metadata/endpoints", endpoints, open=True),
    Route("GET", "/msi/token", app_service_token, open=True),
)
CLOUD_SHELL_ROUTES = (Route("POST", "/oauth2/token", cloud_shell_token, open=True),)
LOGIN_ROUTES = (
    Route("GET", "/{authority}/v2.0/.well-known/openid-configuration", openid_configuration, open=True),
    Route("GET", "/common/discovery/instance", instance_discovery, open=True),
)
