"""supertokens-python with FastAPI: over HTTP by cookies and headers, and by its functions."""

import asyncio
import os
import re
import subprocess
from contextlib import contextmanager

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.requests import Request
from supertokens_python import InputAppInfo, SupertokensConfig, init
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe import jwt, session
from supertokens_python.recipe.jwt import asyncio as jwts
from supertokens_python.recipe.session import SessionContainer, asyncio as sessions
from supertokens_python.recipe.session.framework.fastapi import verify_session
from supertokens_python.types import RecipeUserId

API_KEY = "key-of-the-sdk-tests-1"
# F is 1 s, so a spent token is worth nothing after this.
WINDOW_SECONDS = 2.1
ORIGIN = "http://app.test"


@contextmanager
def running_stack():
    """The local stack on a free port; its origin."""
    arguments = ["--port", "0", "--access-token-ttl", "60", "--refresh-flight", "1", "--set", f"CORE_API_KEYS={API_KEY}"]
    process = subprocess.Popen([os.environ["LOCAL_BIN"], *arguments], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                return
        raise RuntimeError("the stack did not start")
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def app():
    with running_stack() as origin:
        init(
            app_info=InputAppInfo(app_name="test", api_domain=ORIGIN, website_domain=ORIGIN),
            supertokens_config=SupertokensConfig(connection_uri=f"{origin}/core", api_key=API_KEY),
            framework="fastapi",
            recipe_list=[session.init(), jwt.init()],
            mode="asgi",
        )
        app = FastAPI()
        app.add_middleware(get_middleware())

        @app.post("/signin/{user_id}")
        async def sign_in(request: Request, user_id: str):
            created = await sessions.create_new_session(request, "public", RecipeUserId(user_id), {"role": "member"})
            return {"handle": created.get_handle()}

        @app.get("/me")
        async def me(current: SessionContainer = Depends(verify_session())):
            return {"userId": current.get_user_id(), "payload": current.get_access_token_payload()}

        @app.get("/strict")
        async def strict(current: SessionContainer = Depends(verify_session(check_database=True))):
            return {}

        @app.post("/claims")
        async def claims(request: Request, current: SessionContainer = Depends(verify_session())):
            await current.merge_into_access_token_payload(await request.json())
            return {}

        yield app


class Client:
    """Keeps cookies or header tokens as the web SDK does, without a browser."""

    def __init__(self, app, mode):
        self.app, self.mode, self.cookies, self.tokens = app, mode, {}, {}

    def copy(self):
        copy = Client(self.app, self.mode)
        copy.cookies, copy.tokens = dict(self.cookies), dict(self.tokens)
        return copy

    async def send(self, method, path, json=None):
        headers = {"st-auth-mode": self.mode}
        token = self.tokens.get("st-refresh-token" if path.endswith("/session/refresh") else "st-access-token")
        if self.mode == "header" and token:
            headers["authorization"] = f"Bearer {token}"
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            answer = await client.request(method, path, headers=headers, json=json)
        for line in answer.headers.get_list("set-cookie"):
            name, value = line.split(";")[0].split("=", 1)
            if value.strip('"'):
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        for name in ["st-access-token", "st-refresh-token"]:
            if name in answer.headers:
                self.tokens[name] = answer.headers[name]
        return answer

    async def refresh(self):
        return await self.send("POST", "/auth/session/refresh")


async def sign_in(app, mode, user_id="bob"):
    client = Client(app, mode)
    answer = await client.send("POST", f"/signin/{user_id}")
    assert answer.status_code == 200, answer.text
    return client, answer.json()["handle"]


@pytest.fixture(scope="module")
def run():
    """One event loop for all tests: the SDK keeps locks and connections of the first one."""
    with asyncio.Runner() as runner:
        yield runner.run


by_mode = pytest.mark.parametrize("mode", ["cookie", "header"])


@by_mode
def test_a_session_is_made_verified_refreshed_and_ended(app, run, mode):
    async def story():
        client, _ = await sign_in(app, mode)
        me = (await client.send("GET", "/me")).json()
        assert (me["userId"], me["payload"]["role"], me["payload"]["iss"]) == ("bob", "member", f"{ORIGIN}/auth")
        assert (await client.refresh()).status_code == 200
        assert (await client.send("GET", "/me")).status_code == 200
        copy = client.copy()
        assert (await client.send("POST", "/auth/signout")).json() == {"status": "OK"}
        assert (await copy.send("GET", "/me")).status_code == 200
        assert (await copy.send("GET", "/strict")).status_code == 401
        assert (await copy.refresh()).status_code == 401

    run(story())


@by_mode
def test_theft_ends_the_session_for_both(app, run, mode):
    async def story():
        client, handle = await sign_in(app, mode)
        thief = client.copy()
        for _ in range(2):
            assert (await client.refresh()).status_code == 200
            await asyncio.sleep(WINDOW_SECONDS)
        answer = await thief.refresh()
        assert (answer.status_code, answer.json()) == (401, {"message": "token theft detected"})
        assert await sessions.get_session_information(handle) is None
        assert (await client.refresh()).status_code == 401

    run(story())


@by_mode
def test_refreshes_at_once_end_nothing(app, run, mode):
    async def story():
        client, _ = await sign_in(app, mode)
        answers = await asyncio.gather(*(client.copy().refresh() for _ in range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4

    run(story())


@by_mode
def test_claims_of_a_requests_session_are_changed(app, run, mode):
    async def story():
        client, _ = await sign_in(app, mode)
        assert (await client.send("POST", "/claims", {"role": "admin", "extra": {"a": [1]}})).status_code == 200
        payload = (await client.send("GET", "/me")).json()["payload"]
        assert (payload["role"], payload["extra"]) == ("admin", {"a": [1]})

    run(story())


async def create(user_id, tenant="public"):
    return await sessions.create_new_session_without_request_response(
        tenant, RecipeUserId(user_id), {"a": 1}, {"kept": None}, True
    )


def test_sessions_are_read_listed_changed_and_revoked(app, run):
    async def story():
        handles = sorted([(await create("eve")).get_handle() for _ in range(3)])
        information = await sessions.get_session_information(handles[0])
        assert information.user_id == information.recipe_user_id.get_as_string() == "eve"
        assert information.session_data_in_database == {"kept": None}
        assert information.custom_claims_in_access_token_payload["a"] == 1
        assert sorted(await sessions.get_all_session_handles_for_user("eve")) == handles
        assert await sessions.update_session_data_in_database(handles[0], {"b": [1.5, None]})
        assert await sessions.merge_into_access_token_payload(handles[0], {"a": None, "c": "é"})
        information = await sessions.get_session_information(handles[0])
        assert information.session_data_in_database == {"b": [1.5, None]}
        assert information.custom_claims_in_access_token_payload == {"c": "é", "iss": f"{ORIGIN}/auth"}
        assert not await sessions.update_session_data_in_database("unknown", {})
        assert await sessions.revoke_session(handles[0])
        assert not await sessions.revoke_session(handles[0])
        assert sorted(await sessions.revoke_all_sessions_for_user("eve")) == handles[1:]

    run(story())


def test_tokens_are_read_and_exchanged_without_a_request(app, run):
    async def story():
        tokens = (await create("eve")).get_all_session_tokens_dangerously()
        read = await sessions.get_session_without_request_response(tokens["accessToken"], tokens["antiCsrfToken"])
        assert read.get_user_id() == "eve"
        refreshed = await sessions.refresh_session_without_request_response(tokens["refreshToken"], True)
        assert refreshed.get_all_session_tokens_dangerously()["refreshToken"] != tokens["refreshToken"]

    run(story())


def test_tenants_are_kept_apart(app, run):
    async def story():
        handles = [(await create("tess", tenant)).get_handle() for tenant in ["public", "t1", "t2"]]
        assert (await sessions.get_session_information(handles[1])).tenant_id == "t1"
        assert await sessions.get_all_session_handles_for_user("tess", True, "t1") == [handles[1]]
        assert await sessions.revoke_all_sessions_for_user("tess", True, "t2") == [handles[2]]
        assert len(await sessions.revoke_all_sessions_for_user("tess")) == 2

    run(story())


def test_jwts_are_signed_by_a_published_key(app, run):
    async def story():
        created = await jwts.create_jwt({"sub": "guest"}, 60)
        keys = (await jwts.get_jwks()).keys
        assert created.jwt.count(".") == 2
        assert len(keys) == 2

    run(story())
