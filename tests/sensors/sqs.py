"""A bucket that tells a queue what changes, both of moto's server in this process."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
BUCKET = "okla-uploads"
"""Not that of `tests/s3_servers.py`: all of moto's servers in a process have the same buckets."""


@dataclass
class Cloud:
    """Clients for the server, and the queue that the bucket tells at present."""

    endpoint: str
    s3: Any
    sqs: Any
    queue_url: str = ""

    def tell_a_new_queue(self) -> None:
        """From now on, changes of the bucket are told to an empty queue."""
        self.queue_url = self.sqs.create_queue(QueueName=f"uploads-{uuid.uuid4().hex}")["QueueUrl"]
        wanted = {"QueueUrl": self.queue_url, "AttributeNames": ["QueueArn"]}
        queue = {
            "QueueArn": self.sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"],
            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        }
        self.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [queue]}
        )
        self.sqs.purge_queue(QueueUrl=self.queue_url)  # S3's test event

    @property
    def left(self) -> int:
        """Messages in the queue, also those that are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)


@contextmanager
def cloud() -> Iterator[Cloud]:
    """A server on a free port of the loopback; credentials and endpoint are the environment's."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    given = {"region_name": REGION, "endpoint_url": endpoint}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3, sqs = (boto3.client(name, **given, **keys) for name in ("s3", "sqs"))
    try:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Cloud(endpoint, s3, sqs)
    finally:
        server.stop()
