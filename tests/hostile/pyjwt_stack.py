"""PyJWT against a running stack: issuer as the argument, a JSON array of tokens on standard input.

Writes a JSON array of the payload's subjects, or of the names of the errors.
"""

import json
import sys
import urllib.request

import jwt


def main(issuer: str) -> None:
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as answer:
        discovery = json.load(answer)
    keys = jwt.PyJWKClient(discovery["jwks_uri"])
    algorithms = discovery["id_token_signing_alg_values_supported"]

    def verdict(token: str) -> str:
        try:
            key = keys.get_signing_key_from_jwt(token)
            return jwt.decode(token, key, algorithms, issuer=discovery["issuer"])["sub"]
        except jwt.PyJWTError as error:
            return type(error).__name__

    json.dump([verdict(token) for token in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
