"""Buckets that tell of their objects, and the queues they tell it to: by S3 itself, by SNS, by EventBridge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3

REGION = "eu-central-1"
KEYS = {"access_key_id": "AKIATEST", "secret_access_key": "a-test-secret"}


@dataclass(frozen=True)
class Aws:
    endpoint: str

    @property
    def options(self) -> dict[str, str]:
        """Of a connection."""
        return {**KEYS, "endpoint": self.endpoint, "region": REGION}

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=KEYS["access_key_id"],
            aws_secret_access_key=KEYS["secret_access_key"],
        )

    def bucket(self) -> str:
        name = f"b-{uuid4().hex[:12]}"
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def queue(self, **attributes: str) -> Queue:
        name = f"q-{uuid4().hex[:12]}"
        url = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return Queue(self, str(url))

    def put(self, bucket: str, key: str) -> str:
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"id": 1}\n')
        return f"s3://{bucket}/{key}"

    def notify(self, bucket: str, **configuration: Any) -> None:
        self.client("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)

    # --- the three ways from a bucket to a queue

    def tells_by_s3(self, bucket: str, queue: Queue) -> None:
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        self.notify(bucket, QueueConfigurations=[{"QueueArn": queue.arn, "Events": events}])

    def tells_by_sns(self, bucket: str, queue: Queue) -> None:
        topic = self.client("sns").create_topic(Name=f"t-{uuid4().hex[:12]}")["TopicArn"]
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
        self.notify(bucket, TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}])

    def tells_by_eventbridge(self, bucket: str, queue: Queue) -> None:
        rule = f"r-{uuid4().hex[:12]}"
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
        self.client("events").put_rule(Name=rule, EventPattern=json.dumps(pattern))
        self.client("events").put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue.arn}])
        self.notify(bucket, EventBridgeConfiguration={})


@dataclass(frozen=True)
class Queue:
    aws: Aws
    url: str

    @property
    def arn(self) -> str:
        return str(self._attributes("QueueArn")["QueueArn"])

    @property
    def left(self) -> int:
        """Messages in it, those that somebody has taken and not deleted too."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(count) for count in self._attributes(*names).values())

    def _attributes(self, *names: str) -> Any:
        return self.aws.client("sqs").get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.aws.client("sqs").send_message(QueueUrl=self.url, MessageBody=body)
