"""The verdicts of PyJWT: reads the published keys and tokens as JSON lines, writes a JSON array of booleans."""

import datetime
import json
import re
import sys

import jwt
import jwt.api_jwt

# The profile asks neither for an audience nor for a date of issue in the past.
OPTIONS = {"require": ["exp"], "verify_aud": False, "verify_iat": False}


def main() -> None:
    keys, *tokens = map(json.loads, sys.stdin)
    keys = jwt.PyJWKSet.from_dict(keys)
    json.dump([accepts(keys, token) for token in tokens], sys.stdout)


def accepts(keys: jwt.PyJWKSet, presented: dict) -> bool:
    """Whether the library accepts the token, with the published keys and at the time it is presented."""
    Clock.now_is = presented["now"] / 1000
    token = presented["token"]
    try:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        verified = jwt.decode_complete(token, key, ["RS256", "ES256"], options=OPTIONS)
    except (jwt.PyJWTError, KeyError):
        return False
    return is_access_token(verified["header"], verified["payload"], presented["dynamicKeys"])


class Clock(datetime.datetime):
    """The time that PyJWT sees: it takes none as an argument."""

    now_is = 0.0

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(cls.now_is, tz)


jwt.api_jwt.datetime = Clock


def is_access_token(header: dict, payload: dict, dynamic_keys: bool) -> bool:
    """Whether header and payload are those of an access token (frontend contract 5.3, 5.4)."""
    version = header.get("version", "3")
    if header.get("typ") != "JWT" or not isinstance(version, str):
        return False
    if not re.fullmatch(r"\+?[0-9]+", version) or int(version) < 3:
        return False
    if header["kid"].startswith("d-") != dynamic_keys:
        return False
    if "stt" in payload and (isinstance(payload["stt"], bool) or payload["stt"] != 0):
        return False
    texts = ["sub", "sessionHandle", "refreshTokenHash1"]
    if int(version) >= 4:
        texts.append("tId")
    if int(version) >= 5:
        texts.append("rsub")
    numbers = [payload.get("exp"), payload.get("iat")]
    return all(isinstance(payload.get(name), str) for name in texts) and all(
        isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers
    )


if __name__ == "__main__":
    main()
