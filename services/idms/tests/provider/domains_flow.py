"""Authlib and requests, software of others, take a user of one domain to another and print what
they got: TS 33.180 B.7.2 to B.7.5.

Usage: domains_flow.py HOME_ISSUER PARTNER_ISSUER REDIRECT_URI USERNAME PASSWORD KEY_FILE

KEY_FILE is where the partner's operator puts the home domain's public keys.
"""

import json
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken

SCOPE = "openid 3gpp:mc:ptt_service 3gpp:mc:ptt_key_management_service"
GMS_SCOPE = "3gpp:mc:ptt_group_management_service"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TYPE_JWT = "urn:ietf:params:oauth:token-type:jwt"


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


def log_in(issuer, redirect_uri, username, password):
    client = OAuth2Session(
        "mcptt_client",
        scope=SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
    )
    verifier = generate_token(48)
    url, state = client.create_authorization_url(
        f"{issuer}/idms/authorize", code_verifier=verifier, acr_values="3gpp:acr:password"
    )
    browser = requests.Session()
    page = browser.get(url)
    form = Form(page.text)
    form.fields.update(username=username, password=password)
    answer = browser.post(urljoin(page.url, form.action), form.fields, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return client.fetch_token(
        f"{issuer}/idms/token",
        authorization_response=answer.headers["location"],
        code_verifier=verifier,
        state=state,
    )["access_token"]


def main(home, partner, redirect_uri, username, password, key_file):
    keys = {
        issuer: requests.get(
            requests.get(f"{issuer}/.well-known/openid-configuration").json()["jwks_uri"]
        ).json()
        for issuer in (home, partner)
    }
    jwt = JsonWebToken(["ES256"])
    access_token = log_in(home, redirect_uri, username, password)

    def exchange(resource):
        return requests.post(
            f"{home}/idms/token",
            data={
                "grant_type": EXCHANGE,
                "resource": resource,
                "subject_token": access_token,
                "subject_token_type": TYPE_JWT,
            },
        ).json()

    def redeem(assertion):
        return requests.post(
            f"{partner}/idms/token",
            data={
                "grant_type": BEARER,
                "assertion": assertion,
                "client_id": "mcptt_client",
                "scope": f"{GMS_SCOPE} 3gpp:mc:ptt_key_management_service openid",
            },
        ).json()

    exchanged = exchange(f"{partner}/idms/token")
    security_token = exchanged["access_token"]
    decoded = jwt.decode(security_token, JsonWebKey.import_key_set(keys[home]))
    decoded.validate()
    too_early = redeem(security_token)
    with open(key_file, "w") as file:
        json.dump(keys[home], file)
    answer = redeem(security_token)
    granted = jwt.decode(answer["access_token"], JsonWebKey.import_key_set(keys[partner]))
    granted.validate()
    json.dump(
        {
            "security_token": decoded,
            "issued_token_type": exchanged["issued_token_type"],
            "access_token": granted,
            "members": sorted(answer),
            "before_the_keys_came": too_early["error"],
            "replayed": redeem(security_token)["error"],
            "access_token_as_assertion": redeem(access_token)["error"],
            "unknown_resource": exchange("https://idms.unknown.example/token")["error"],
        },
        sys.stdout,
    )


main(*sys.argv[1:])
