"""A local OAuth 2.0 server, made with authlib and Flask: a token endpoint, and the introspection that Dovecot asks."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

# authlib refuses plain HTTP otherwise, also on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask, Response
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET, SCOPE = "wlsmtp app", "cl1ent s3cret/+", "smtp.send"


class Client(ClientMixin):  # type: ignore[misc]
    """The one application that is registered."""

    client_id = CLIENT_ID

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_post", "client_secret_basic")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("client_credentials", "refresh_token")

    def get_allowed_scope(self, scope: str) -> str:
        return scope if scope == SCOPE else ""


@dataclass
class Token(TokenMixin):  # type: ignore[misc]
    """What was issued."""

    user: str
    access_token: str
    refresh_token: str | None
    expires_at: float
    is_dead: bool = False
    is_rotated: bool = False

    def check_client(self, client: Client) -> bool:
        return client.client_id == CLIENT_ID

    def get_scope(self) -> str:
        return SCOPE

    def is_expired(self) -> bool:
        return time.time() > self.expires_at

    def is_revoked(self) -> bool:
        return self.is_dead


class OAuthServer:
    """Issues tokens to one client for ``user``. A refresh token is replaced each time it is used, and worth nothing
    from then on."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.lifetime = 3600
        """Seconds that tokens are good for."""
        self.is_down = False
        self.requests: list[dict[str, str]] = []
        """The forms that came to the token endpoint."""
        self._tokens: list[Token] = []
        self._http = make_server("127.0.0.1", 0, self._application(), threaded=True)
        self._thread = threading.Thread(target=self._http.serve_forever, name="oauth-server", daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.token_url, self.introspection_url = f"{self.url}/token", f"{self.url}/introspect"

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def issue(self, user: str | None = None) -> Token:
        """A token as a user gets it by logging in with a browser."""
        token = Token(user or self.user, secrets.token_urlsafe(), secrets.token_urlsafe(), time.time() + self.lifetime)
        self._tokens.append(token)
        return token

    def revoke_all(self) -> None:
        """Make all access tokens worthless before their time."""
        for token in self._tokens:
            token.is_dead = True

    def _application(self) -> Flask:
        app = Flask(__name__)
        app.config.update(OAUTH2_REFRESH_TOKEN_GENERATOR=True, OAUTH2_SCOPES_SUPPORTED=[SCOPE])
        server = AuthorizationServer(app, lambda client_id: Client() if client_id == CLIENT_ID else None, self._save)
        server.register_grant(grants.ClientCredentialsGrant)
        server.register_grant(self._refreshing())
        server.register_endpoint(self._introspection())

        @app.post("/token")
        def token() -> Any:
            from flask import request

            self.requests.append(request.form.to_dict())
            return Response("down for maintenance", 503) if self.is_down else server.create_token_response()

        @app.post("/introspect")
        def introspect() -> Any:
            return server.create_endpoint_response("introspection")

        return app

    def _save(self, token: dict[str, Any], _request: Any) -> None:
        token["expires_in"] = self.lifetime
        expires_at = time.time() + self.lifetime
        self._tokens.append(Token(self.user, token["access_token"], token.get("refresh_token"), expires_at))

    def _refreshing(self) -> type[Any]:
        owner = self

        class Refreshing(grants.RefreshTokenGrant):  # type: ignore[misc]
            INCLUDE_NEW_REFRESH_TOKEN = True
            TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

            def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
                fresh = (token for token in owner._tokens if not token.is_rotated)
                return next((token for token in fresh if token.refresh_token == refresh_token), None)

            def authenticate_user(self, refresh_token: Token) -> str:
                return refresh_token.user

            def revoke_old_credential(self, refresh_token: Token) -> None:
                refresh_token.is_rotated = True

        grants.ClientCredentialsGrant.TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
        return Refreshing

    def _introspection(self) -> type[Any]:
        owner = self

        class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
            CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

            def authenticate_endpoint_client(self, request: Any) -> Client:
                return Client()  # Dovecot sends no secret of its own; the server is on loopback

            def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
                return next((token for token in owner._tokens if token.access_token == token_string), None)

            def check_permission(self, token: Token, client: Client, request: Any) -> bool:
                return True

            def introspect_token(self, token: Token) -> dict[str, Any]:
                return {"active": True, "username": token.user, "scope": SCOPE, "client_id": CLIENT_ID}

        return Introspection
