"""Runs documented code: the code as the argument, a JSON array of tokens on standard input.

Writes a JSON array of the subjects of the tokens that its `verify` accepts, and of false for the others.
"""

import json
import sys

import jwt


def main(code: str) -> None:
    documented: dict = {}
    exec(code, documented)  # that it runs as it stands is what is tested

    def verdict(token: str) -> str | bool:
        try:
            return documented["verify"](token)["sub"]
        except jwt.PyJWTError:
            return False

    json.dump([verdict(token) for token in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
