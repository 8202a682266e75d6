"""How hostile requests are sent, and what has to be answered."""

from typing import Any

import requests

from tests.doors.places import Client

CAR = "ANNS-CAR"
URL = "https://photos.example.com/a.jpg"
SECRET = "a-secret-of-ann"
PART = "application/offset+octet-stream"


def refused(answer: requests.Response, *statuses: int) -> None:
    """A clear 4xx in the words of its family, without a trace of our insides."""
    wanted = statuses or range(400, 500)
    assert answer.status_code in wanted, (answer.status_code, answer.text[:300])
    for word in ("Traceback", "okla_assets", "/tmp/", "site-packages", SECRET):
        assert word not in answer.text
    if answer.request.method != "HEAD" and answer.status_code != 304:
        said = answer.json()
        one = said["errors"][0] if isinstance(said.get("errors"), list) else said
        assert any(one.get(name) for name in ("detail", "title", "message", "error")), said


def raw(client: Client, method: str, path: str, **given: Any) -> requests.Response:
    """A request whose path is sent as it is, dots and all."""
    request = requests.Request(
        method, client.url, headers={"X-Api-Key": client.key} | given.pop("headers", {}), **given
    ).prepare()
    request.url = client.url + path
    with requests.Session() as session:
        return session.send(request, timeout=30, allow_redirects=False)
