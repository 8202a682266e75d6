"""The queue of a bucket's change events: Amazon SQS, or a server that is compatible with it."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, runtime_checkable

import dagster as dg

from resources.errors import BrokenSetup
from resources.settings import settings

QUEUE_ENV = "OKLA_SQS_QUEUE_URL"
HIDDEN_SECONDS = 120
"""A message that was received and not deleted comes again after this: a sensor tick is shorter."""
_WAIT_SECONDS = 1  # with 0, SQS asks only some of its servers and may find none of ten messages
_MOST_AT_ONCE = 10  # of a receive or delete: SQS's own limit
_FOR_A_PERSON = (
    "NonExistentQueue|QueueDoesNotExist|AccessDenied"
    "|ExpiredToken|InvalidClient|SignatureDoesNotMatch|UnrecognizedClient"
)
"""Refusals that nothing but a person, or what renews the credentials, can end."""


@dataclass(frozen=True)
class Message:
    """One message as received; `receipt` is what deletes it."""

    id: str
    body: str
    receipt: str


@runtime_checkable
class EventQueue(Protocol):
    """What the sensor needs of a queue."""

    def receive(self) -> Sequence[Message]:
        """Some messages, hidden from others for HIDDEN_SECONDS; none where it is empty."""
        ...

    def delete(self, messages: Sequence[Message]) -> None:
        """Removes received messages for good."""
        ...


class SqsEventQueue(dg.ConfigurableResource):  # type: ignore[type-arg]
    """An SQS queue; an empty `url` means OKLA_SQS_QUEUE_URL. Credentials are found by boto3."""

    url: str = ""

    def receive(self) -> Sequence[Message]:
        answer = self._ask(
            "receive_message",
            MaxNumberOfMessages=_MOST_AT_ONCE,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
        )
        return [
            Message(m["MessageId"], m["Body"], m["ReceiptHandle"])
            for m in answer.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """Removes the messages; one that SQS fails to remove comes again, which does no harm."""
        for start in range(0, len(messages), _MOST_AT_ONCE):
            entries = [
                {"Id": str(n), "ReceiptHandle": message.receipt}
                for n, message in enumerate(messages[start : start + _MOST_AT_ONCE])
            ]
            self._ask("delete_message_batch", Entries=entries)

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

        url = self.url or settings().sqs_queue_url
        try:
            client = _client(_region(url), os.environ.get("AWS_ENDPOINT_URL", ""))
            answer: dict[str, Any] = getattr(client, operation)(QueueUrl=url, **parameters)
        except NoCredentialsError:
            _client.cache_clear()  # there may be some by the next time
            raise BrokenSetup(f"no AWS credentials were found for {QUEUE_ENV} {url}") from None
        except NoRegionError:
            raise BrokenSetup(f"set AWS_DEFAULT_REGION: {QUEUE_ENV} {url} names none") from None
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if not re.search(_FOR_A_PERSON, code):
                raise
            _client.cache_clear()  # new credentials may have been given
            raise BrokenSetup(f"the queue of {QUEUE_ENV} cannot be used: {error}") from None
        return answer


def _region(url: str) -> str | None:
    """The region that AWS's own URLs name; None leaves it to boto3's environment."""
    found = re.match(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com", url)
    return found[1] if found else None


@cache
def _client(region: str | None, endpoint: str) -> Any:
    """Once a process: making one costs more than a tick. The endpoint is part of the key only."""
    import boto3

    return boto3.session.Session().client("sqs", region_name=region)
