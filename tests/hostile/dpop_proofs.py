"""The verdicts of PyJWT on DPoP proofs: reads a request and proofs as JSON lines, writes a JSON array of booleans."""

import base64
import hashlib
import json
import sys
from urllib.parse import urlsplit

import jwt

import pyjwt as clock

OPTIONS = {"require": ["jti", "htm", "htu", "iat", "ath"], "verify_iat": False, "verify_aud": False}


def main() -> None:
    request, *proofs = map(json.loads, sys.stdin)
    clock.Clock.now_is = request["now"] / 1000
    json.dump([accepts(request, proof["proof"], proof["accessToken"]) for proof in proofs], sys.stdout)


def accepts(request: dict, proof: str, access_token: str) -> bool:
    """Whether the library accepts the proof under the key in its header, and RFC 9449 4.3 what it says."""
    try:
        header = jwt.get_unverified_header(proof)
        if header.get("typ") != "dpop+jwt" or "d" in header["jwk"]:
            return False
        key = jwt.PyJWK(header["jwk"], header["alg"])
        said = jwt.decode(proof, key, ["ES256", "EdDSA"], options=OPTIONS)
    except (jwt.PyJWTError, KeyError, TypeError, AttributeError, ValueError, NotImplementedError):
        return False
    digest = hashlib.sha256(access_token.encode()).digest()
    return (
        isinstance(said["jti"], str)
        and said["htm"] == request["method"]
        and isinstance(said["htu"], str)
        and without_query(said["htu"]) == without_query(request["url"])
        and isinstance(said["iat"], (int, float))
        and abs(said["iat"] - request["now"] / 1000) <= 120
        and said["ath"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    )


def without_query(url: str) -> str:
    """The address with a lower-case scheme and host, without query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"


if __name__ == "__main__":
    main()
