"""Clients of object stores, and what their refusals mean to a person.

Imports boto3, which takes a moment: `S3MediaStore` imports this when it is first used.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
from botocore import exceptions as broken
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from dagster_aws.s3 import S3Resource

from resources.errors import BrokenSetup, Unreadable

CONNECT_SECONDS = 10
READ_SECONDS = 60
MOST_CONNECTIONS = 128
"""More than a step's threads ask for at once: eight photos with eight files each, and readers."""

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_BAD_CREDENTIALS = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_THROTTLED = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})
CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to a key of the store's owner"
)


class AnyS3(S3Resource):
    """dagster-aws's S3 resource, also for stores that are not AWS.

    The client retries with exponential backoff: no connection, time-outs, throttling, 5xx.
    """

    def get_client(self) -> Any:
        # boto3 1.36 and newer add checksums that older stores refuse or store as part of the body.
        checksums = "when_required" if self.endpoint_url else "when_supported"
        config = Config(
            # Links are signed by the second version else, where there is no region or us-east-1:
            # AWS refuses it for objects that are encrypted with a key, other stores for all.
            signature_version="s3v4",
            retries={"mode": "standard", "total_max_attempts": self.max_attempts},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=MOST_CONNECTIONS,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        )
        return boto3.session.Session().client("s3", endpoint_url=self.endpoint_url, config=config)


_making = threading.Lock()


def client_for(endpoint_url: str, max_attempts: int, location: str) -> Any:
    """The process's client with these settings; region and credentials by AWS's ordinary chain."""
    with _making, errors_named(location):
        # By process: a pool of connections must not be shared with a fork.
        return _client(os.getpid(), endpoint_url, max_attempts)


def forget_clients() -> None:
    """The next request looks for credentials anew: those of a file, say, may have been renewed.

    Credentials that a role gives are renewed by the client itself, before they expire.
    """
    _client.cache_clear()


@lru_cache
def _client(_pid: int, endpoint_url: str, max_attempts: int) -> Any:
    return AnyS3(endpoint_url=endpoint_url or None, max_attempts=max_attempts).get_client()


BROKEN_STREAM = (
    broken.ReadTimeoutError,
    broken.ResponseStreamingError,
    broken.IncompleteReadError,
)
"""A download that broke off half-way; botocore retries only what comes before the body."""


@contextmanager
def errors_named(location: str, key: str = "") -> Iterator[None]:
    """Turns what botocore raises into an error that says what to do about `key` in `location`.

    `ConnectionError` is raised for what may work later, after the client's own retries.
    """
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, location, key) from error
    except BotoCoreError as error:
        raise _of_no_answer(error, location) from error


class EmptyRange(Exception):
    """A part was asked for of an object that has no bytes."""


class AlreadyThere(Exception):
    """An object was to be written where there is none, and there is one, or is about to be."""


class NotOffered(BrokenSetup):
    """The store does not know what was asked for, such as a condition of a write."""


_NOT_NEW = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_OF_ONE_OBJECT = frozenset({"AccessDenied", "InvalidObjectState", "InvalidRequest"})
"""Refusals that may be about the object alone: its own rights, the archive that it has been moved
to, or a key of its owner's that it is encrypted with. Those of AWS's KMS are so, too."""


@contextmanager
def object_errors_named(location: str, key: str) -> Iterator[None]:
    """As `errors_named`, where one object is read: `Unreadable` for what may be its fault alone."""
    try:
        with errors_named(location, key):
            yield
    except BrokenSetup as broken_setup:
        cause = broken_setup.__cause__
        code = cause.response.get("Error", {}).get("Code") if isinstance(cause, ClientError) else ""
        if code == "InvalidRange":
            raise EmptyRange(key) from None
        if code in _OF_ONE_OBJECT or str(code).startswith("KMS."):
            raise Unreadable(f"{key}: {broken_setup}") from cause
        raise


def _of_answer(error: ClientError, location: str, key: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return BrokenSetup(
            f"there is no bucket at {location}: create it, or correct the media location"
        )
    if code in _MISSING:
        return FileNotFoundError(f"{key} is not in the media store {location}")
    if code in _NOT_NEW:
        return AlreadyThere(key)
    if code == "NotImplemented":
        return NotOffered(f"{location} does not offer what was asked for: {message}")
    if code == "RequestTimeTooSkewed":
        return BrokenSetup(
            f"{location} refuses requests dated by this machine: set its clock right"
        )
    if code in _BAD_CREDENTIALS or status == 401:
        forget_clients()
        return BrokenSetup(f"{location} refuses the credentials ({code}): {CREDENTIALS}")
    if status == 403:
        return BrokenSetup(
            f"{location} refuses access ({code}): {CREDENTIALS}, and allow it to list the bucket "
            "and to get, put and delete its objects"
        )
    if code in _THROTTLED or status >= 500 or status == 429:
        return ConnectionError(f"{location} cannot serve the request now ({code}): {message}")
    return BrokenSetup(f"{location} refuses the request ({code or status}): {message}")


def _of_no_answer(error: BotoCoreError, location: str) -> Exception:
    if isinstance(
        error,
        broken.NoCredentialsError
        | broken.PartialCredentialsError
        | broken.CredentialRetrievalError
        | broken.TokenRetrievalError
        | broken.ProfileNotFound,
    ):
        forget_clients()
        return BrokenSetup(f"no credentials for {location} ({error}): {CREDENTIALS}")
    if isinstance(
        error,
        broken.EndpointConnectionError
        | broken.ConnectTimeoutError
        | broken.ProxyConnectionError
        | broken.SSLError,
    ):
        return BrokenSetup(
            f"{location} cannot be reached ({error}): check the network and OKLA_S3_ENDPOINT_URL"
        )
    if isinstance(error, broken.HTTPClientError | broken.IncompleteReadError):
        return ConnectionError(f"the connection to {location} broke off: {error}")
    return BrokenSetup(f"{location} cannot be used: {error}")
