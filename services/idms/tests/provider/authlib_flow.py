"""Authlib, an independent OpenID Connect client, completes the MCX log-in and prints what it got.

Usage: authlib_flow.py ISSUER REDIRECT_URI USERNAME PASSWORD
"""

import json
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oidc.core import CodeIDToken

SCOPE = "openid 3gpp:mc:ptt_service 3gpp:mc:ptt_key_management_service"
KMS_SCOPE = "3gpp:mc:ptt_key_management_service"


class Form(HTMLParser):
    """Collects the action and the inputs of the only form of a page."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.action = attrs["action"]
        elif tag == "input":
            self.fields[attrs["name"]] = attrs.get("value") or ""


def main(issuer, redirect_uri, username, password):
    metadata = requests.get(f"{issuer}/.well-known/openid-configuration").json()
    assert metadata["issuer"] == issuer
    keys = JsonWebKey.import_key_set(requests.get(metadata["jwks_uri"]).json())
    client = OAuth2Session(
        "mcptt_client",
        scope=SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
    )
    verifier, nonce = generate_token(48), generate_token()
    url, state = client.create_authorization_url(
        metadata["authorization_endpoint"],
        code_verifier=verifier,
        nonce=nonce,
        acr_values="3gpp:acr:password",
    )

    browser = requests.Session()
    page = browser.get(url)
    form = Form(page.text)
    form.fields.update(username=username, password=password)
    answer = browser.post(urljoin(page.url, form.action), form.fields, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    redirected = answer.headers["location"]

    fetch = dict(authorization_response=redirected, code_verifier=verifier, state=state)
    token = client.fetch_token(metadata["token_endpoint"], **fetch)
    refresh_token = token["refresh_token"]
    jwt = JsonWebToken(["ES256"])
    id_token = jwt.decode(
        token["id_token"],
        keys,
        claims_cls=CodeIDToken,
        claims_options={"iss": {"value": issuer}, "aud": {"value": "mcptt_client"}},
        claims_params={"nonce": nonce, "client_id": "mcptt_client"},
    )
    id_token.validate()
    access_token = jwt.decode(token["access_token"], keys)
    access_token.validate()

    narrowed = client.refresh_token(metadata["token_endpoint"], refresh_token, scope=KMS_SCOPE)
    narrowed = jwt.decode(narrowed["access_token"], keys)
    narrowed.validate()
    try:
        client.fetch_token(metadata["token_endpoint"], **fetch)
        replayed = "accepted"
    except OAuthError as refusal:
        replayed = refusal.error
    json.dump(
        {
            "id_token": id_token,
            "access_token": access_token,
            "narrowed": narrowed,
            "replayed_code": replayed,
        },
        sys.stdout,
    )


main(*sys.argv[1:])
