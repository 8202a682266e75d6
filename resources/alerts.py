"""Alerts about failed vehicles: a POST to a webhook, or where none is set a log line."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from html import escape
from http import HTTPStatus
from logging import Logger

import dagster as dg

from resources.settings import settings

RETRIED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600))
"""Answers that may be others next time."""


class Alerts(dg.ConfigurableResource):  # type: ignore[type-arg]
    """POSTs JSON to `url`; an empty one means OKLA_ALERT_WEBHOOK_URL, and without that a log line.

    Three tries of 3 s and five alerts a tick fit into the minute that Dagster gives a sensor.
    """

    url: str = ""
    timeout_seconds: float = 3.0
    tries: int = 3
    wait_seconds: float = 0.3

    def send(self, text: str, facts: Mapping[str, str | None], log: Logger) -> bool:
        """Whether the webhook accepted the alert. A webhook that fails is logged, never raised.

        `text` is the sentence that Slack, Mattermost and their like show: there `<!here>` in a
        file's name would call all.
        """
        log.error(text)
        url = self.url or settings().alert_webhook_url
        if not url:
            return False
        if not url.startswith(("http://", "https://")):
            log.error("OKLA_ALERT_WEBHOOK_URL is no http:// or https:// address: no alert was sent")
            return False
        problem = self._post(url, json.dumps({"text": escape(text, quote=False), **facts}).encode())
        if problem:
            log.error(f"the webhook did not accept the alert: {problem}")
        return not problem

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

    def _post(self, url: str, body: bytes) -> str:
        """What went wrong, without the address, which is a secret; empty where nothing did."""
        import requests
        from urllib3 import Retry

        retries = Retry(
            self.tries - 1,
            status_forcelist=RETRIED,
            allowed_methods=None,
            backoff_factor=self.wait_seconds,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        headers = {"Content-Type": "application/json", "User-Agent": "okla-media"}
        with _unlogged(url), requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retries))
            try:
                # A redirect would send the alert to an address that is not configured.
                answer = session.post(
                    url, body, headers=headers, timeout=self.timeout_seconds, allow_redirects=False
                )
            except (requests.RequestException, ValueError) as error:
                return type(error).__name__
        return "" if answer.status_code < 300 else f"it answered {answer.status_code}"


@contextmanager
def _unlogged(url: str) -> Iterator[None]:
    """Keeps the address's path, a secret, out of what urllib3 logs of each retry."""
    path = url.partition("://")[2].partition("/")[2]

    def is_safe(record: logging.LogRecord) -> bool:
        return not path or path not in record.getMessage()

    with ExitStack() as stack:
        for name in ("urllib3.connectionpool", "urllib3.util.retry"):
            log = logging.getLogger(name)
            log.addFilter(is_safe)
            stack.callback(log.removeFilter, is_safe)
        yield
