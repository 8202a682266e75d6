"""Telling somebody that a vehicle failed: a POST to a webhook, or where none is set a log line."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from logging import Logger

import dagster as dg

PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers beside the 500s that may be others next time."""


class Alerts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """POSTs JSON to `url`; an empty one means OKLA_ALERT_WEBHOOK_URL, and without that a log line.

    Three tries of 3 s and five alerts a tick fit into the minute that Dagster gives a sensor.
    """

    url: str = ""
    timeout_seconds: float = 3.0
    tries: int = 3
    wait_seconds: float = 0.3

    def send(self, text: str, facts: Mapping[str, str | None], log: Logger) -> bool:
        """Whether the alert was taken. Never raises for what the other end does: it is logged.

        `text` is the sentence that Slack, Mattermost and their like show.
        """
        log.error(text)
        url = self.url or os.environ.get("OKLA_ALERT_WEBHOOK_URL", "")
        if not url:
            return False
        if not url.startswith(("http://", "https://")):
            log.error("OKLA_ALERT_WEBHOOK_URL is no http:// or https:// address: no alert was sent")
            return False
        body = json.dumps({"text": text, **facts}).encode()
        problem = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self.wait_seconds * attempt)
            try:
                self._post(url, body)
            except urllib.error.HTTPError as error:
                problem = f"it answered {error.code}"
                error.close()
                if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in PASSING:
                    break
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = f"{type(error).__name__}"  # its words may hold the address, a secret
            else:
                return True
        log.error(f"the alert was not taken by the webhook: {problem}")
        return False

    def run_failed(
        self, run: dg.DagsterRun, vehicle: str | None, step: str, error: str, log: Logger
    ) -> bool:
        """Tells of a run that failed at a step, or that made a listing which is `failed`."""
        about = f"vehicle {vehicle}" if vehicle else f"job {run.job_name}"
        facts = {
            "vehicle_id": vehicle,
            "job": run.job_name,
            "run_id": run.run_id,
            "step": step,
            "error": error,
            "source": run.tags.get("okla/source"),
        }
        return self.send(f"{about} failed at {step}: {error}", facts, log)

    def _post(self, url: str, body: bytes) -> None:
        request = urllib.request.Request(
            url, body, {"Content-Type": "application/json", "User-Agent": "okla-media"}
        )
        with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:
            answer.read(1024)
