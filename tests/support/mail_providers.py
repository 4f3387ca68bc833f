"""Mail providers that post events to anymail's webhooks: what they send, and how they sign it.

The payloads follow the documents that anymail's own webhooks name. Each provider is asked for an
event by a word: ``delivered``, ``hard``, ``soft``, ``rejected``, ``deferred``, ``complained``,
``unsubscribed``, ``opened``, ``machine`` (an open by a machine) and ``clicked``. It answers
``None`` for what it does not report.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
SECRET = "webhooks:secret"
BASIC = {"Authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()}
LINK = "https://shop.example/tea"
NO_MAILBOX = "550 5.1.1 <{to}>: Recipient address rejected: User unknown"
FULL = "452 4.2.2 The email account that you tried to reach is over quota"

#: Key pairs are slow to make.
_EC_KEY = ec.generate_private_key(ec.SECP256R1())
_RSA_KEY = rsa.generate_private_key(65537, 2048)


def _public(key):
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "".join(pem.decode().splitlines()[1:-1])


class Provider:
    """A provider with a webhook that is protected by basic authentication only.

    Attributes:
        name: as anymail calls it.
        url_name: of its webhook.
        message_id: how an id of it looks.
        settings: of anymail.
    """

    name = ""
    url_name = ""
    message_id = "b1f0e9a2-7c6d-4b1e-8f52-{}"
    settings = {}
    content_type = "application/json"

    def event(self, what, message_id, to, time, number=0, **more):
        """Return one event as the provider writes it, or ``None``."""
        raise NotImplementedError

    def body(self, events):
        """Return the bodies of the requests that bring these events."""
        return [json.dumps(event) for event in events]

    def headers(self, body):
        """Return the headers that prove who sends a body."""
        return BASIC

    def post(self, client, *events):
        """Post events to the webhook; return the answers."""
        from django.urls import reverse

        url = reverse(f"anymail:{self.url_name}")
        return [
            client.post(url, body, content_type=self.content_type, headers=self.headers(body))
            for body in self.body([event for event in events if event is not None])
        ]


def _iso(time):
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SendGrid(Provider):
    """https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"""

    name, url_name = "SendGrid", "sendgrid_tracking_webhook"
    settings = {"SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY": _public(_EC_KEY)}

    def event(self, what, message_id, to, time, number=0, **more):
        own = {
            "delivered": {"event": "delivered", "response": "250 2.0.0 OK"},
            "hard": {
                "event": "bounce",
                "type": "bounce",
                "status": "5.1.1",
                "reason": NO_MAILBOX.format(to=to),
                "bounce_classification": "Invalid Address",
            },
            "soft": {"event": "bounce", "type": "blocked", "status": "4.2.2", "reason": FULL},
            "rejected": {"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
            "deferred": {"event": "deferred", "attempt": "5", "response": FULL},
            "complained": {"event": "spamreport"},
            "unsubscribed": {"event": "unsubscribe"},
            "opened": {"event": "open", "useragent": PHONE, "sg_machine_open": False},
            "machine": {"event": "open", "useragent": "Mozilla/5.0", "sg_machine_open": True},
            "clicked": {"event": "click", "useragent": PHONE, "url": LINK},
        }[what]
        return {
            "email": to,
            "timestamp": int(time.timestamp()),
            "smtp-id": f"<{message_id}@ismtpd0001p1lon1.sendgrid.net>",
            "anymail_id": message_id,
            "sg_event_id": f"{what}-{number}-{message_id}",
            "sg_message_id": "sendgrid_internal_message_id",
            "ip": "192.0.2.7",
            **own,
            **more,
        }

    def body(self, events):
        return [json.dumps(events)]

    def headers(self, body):
        timestamp = str(int(datetime.now(UTC).timestamp()))
        signature = _EC_KEY.sign((timestamp + body).encode(), ec.ECDSA(hashes.SHA256()))
        return {
            **BASIC,
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }


class Mailgun(Provider):
    """https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure"""

    name, url_name = "Mailgun", "mailgun_tracking_webhook"
    message_id = "<20260401101500.1.7B0A1F{}@mg.shop.example>"
    settings = {"MAILGUN_WEBHOOK_SIGNING_KEY": "a signing key"}
    _posts = 0

    def event(self, what, message_id, to, time, number=0, **more):
        client = {"client-info": {"client-type": "browser", "user-agent": PHONE}}
        own = {
            "delivered": {
                "event": "delivered",
                "delivery-status": {"code": 250, "message": "OK", "description": ""},
            },
            "hard": {
                "event": "failed",
                "severity": "permanent",
                "reason": "bounce",
                "delivery-status": {"code": 550, "message": NO_MAILBOX.format(to=to)},
            },
            "rejected": {"event": "rejected", "reject": {"reason": "Sandbox", "description": ""}},
            "deferred": {
                "event": "failed",
                "severity": "temporary",
                "reason": "generic",
                "delivery-status": {"code": 452, "message": FULL, "retry-seconds": 600},
            },
            "complained": {"event": "complained"},
            "unsubscribed": {"event": "unsubscribed", **client},
            "opened": {"event": "opened", "ip": "192.0.2.7", **client},
            "clicked": {"event": "clicked", "url": LINK, "ip": "192.0.2.7", **client},
        }.get(what)
        return own and {
            "event-data": {
                "id": f"{what}-{number}",
                "timestamp": time.timestamp(),
                "recipient": to,
                "recipient-domain": to.partition("@")[2],
                "message": {"headers": {"message-id": message_id.strip("<>"), "to": to}},
                "tags": [],
                "user-variables": {},
                **own,
                **more,
            }
        }

    def body(self, events):
        return [json.dumps({"signature": self._signature(), **event}) for event in events]

    def _signature(self):
        self._posts += 1  # a new token for each request, also for one that is repeated
        timestamp, token = "1775038500", f"{self._posts:050d}"
        key = self.settings["MAILGUN_WEBHOOK_SIGNING_KEY"].encode()
        digest = hmac.new(key, f"{timestamp}{token}".encode(), hashlib.sha256)
        return {"timestamp": timestamp, "token": token, "signature": digest.hexdigest()}

    def headers(self, body):
        return BASIC


class Postmark(Provider):
    """https://postmarkapp.com/developer/webhooks/webhooks-overview"""

    name, url_name = "Postmark", "postmark_tracking_webhook"

    def event(self, what, message_id, to, time, number=0, **more):
        at, bounce = _iso(time), {"RecordType": "Bounce", "ID": 900_000 + number, "Email": to}
        own = {
            "delivered": {"RecordType": "Delivery", "DeliveredAt": at, "Details": "250 OK"},
            "hard": {
                **bounce,
                "Type": "HardBounce",
                "BouncedAt": at,
                "Details": NO_MAILBOX.format(to=to),
            },
            "soft": {**bounce, "Type": "SoftBounce", "BouncedAt": at, "Details": FULL},
            "rejected": {**bounce, "Type": "Blocked", "BouncedAt": at, "Details": "blocked"},
            "deferred": {**bounce, "Type": "Transient", "BouncedAt": at, "Details": FULL},
            "complained": {
                "RecordType": "SpamComplaint",
                "Type": "SpamComplaint",
                "ID": 800_000 + number,
                "Email": to,
                "BouncedAt": at,
            },
            "unsubscribed": {
                "RecordType": "SubscriptionChange",
                "ChangedAt": at,
                "SuppressSending": True,
                "SuppressionReason": "ManualSuppression",
            },
            "opened": {"RecordType": "Open", "ReceivedAt": at, "UserAgent": PHONE},
            "machine": {"RecordType": "Open", "ReceivedAt": at, "UserAgent": "Mozilla/5.0"},
            "clicked": {
                "RecordType": "Click",
                "ReceivedAt": at,
                "UserAgent": PHONE,
                "OriginalLink": LINK,
            },
        }[what]
        whom = {} if "Email" in own else {"Recipient": to}
        return {"MessageID": message_id, "ServerID": 23, "Metadata": {}, **whom, **own, **more}


class AmazonSES(Provider):
    """https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html"""

    name, url_name = "Amazon SES", "amazon_ses_tracking_webhook"
    message_id = "0102018e{}-1a2b3c4d-5e6f-7a8b-9c0d-000000"
    settings = {"AMAZON_SES_CLIENT_PARAMS": {"region_name": "eu-west-1"}}

    def event(self, what, message_id, to, time, number=0, **more):
        at = _iso(time)
        kind, own = {
            "delivered": ("Delivery", {"recipients": [to], "smtpResponse": "250 OK"}),
            "hard": (
                "Bounce",
                {
                    "bounceType": "Permanent",
                    "bounceSubType": "General",
                    "bouncedRecipients": [
                        {
                            "emailAddress": to,
                            "status": "5.1.1",
                            "diagnosticCode": NO_MAILBOX.format(to=to),
                        }
                    ],
                },
            ),
            "soft": (
                "Bounce",
                {
                    "bounceType": "Transient",
                    "bounceSubType": "MailboxFull",
                    "bouncedRecipients": [{"emailAddress": to, "diagnosticCode": FULL}],
                },
            ),
            "rejected": ("Reject", {"reason": "Bad content"}),
            "complained": (
                "Complaint",
                {"complainedRecipients": [{"emailAddress": to}], "complaintFeedbackType": "abuse"},
            ),
            "opened": ("Open", {"ipAddress": "192.0.2.7", "userAgent": PHONE}),
            "machine": ("Open", {"ipAddress": "192.0.2.7", "userAgent": "Mozilla/5.0"}),
            "clicked": ("Click", {"link": LINK, "userAgent": PHONE}),
        }.get(what, (None, None))
        mail = {
            "timestamp": at,
            "messageId": message_id,
            "destination": [to],
            "headers": [{"name": "Subject", "value": "Spring"}, *more.get("headers", [])],
        }
        return kind and {
            "Type": "Notification",
            "MessageId": f"{what}-{number}-{message_id}",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:SES_Events",
            "Message": json.dumps(
                {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": at, **own}}
            ),
            "Timestamp": at,
        }

    def headers(self, body):
        message = json.loads(body)
        return {
            **BASIC,
            "X-Amz-Sns-Message-Type": message["Type"],
            "X-Amz-Sns-Message-Id": message["MessageId"],
        }


class Brevo(Provider):
    """https://developers.brevo.com/docs/transactional-webhooks"""

    name, url_name = "Brevo", "brevo_tracking_webhook"
    message_id = "<202604011015.{}@smtp-relay.mailin.fr>"

    def event(self, what, message_id, to, time, number=0, **more):
        own = {
            "delivered": {"event": "delivered"},
            "hard": {"event": "hard_bounce", "reason": NO_MAILBOX.format(to=to)},
            "soft": {"event": "soft_bounce", "reason": FULL},
            "rejected": {"event": "blocked", "reason": "blocked : due to blacklist user"},
            "deferred": {"event": "deferred", "reason": FULL},
            "complained": {"event": "spam"},
            "unsubscribed": {"event": "unsubscribe"},
            "opened": {"event": "unique_opened", "user_agent": PHONE},
            "machine": {"event": "unique_proxy_open", "user_agent": "Mozilla/5.0"},
            "clicked": {"event": "click", "link": LINK, "user_agent": PHONE},
        }[what]
        return {
            "email": to,
            "id": 1_004_000 + number,
            "message-id": message_id,
            "ts_epoch": int(time.timestamp() * 1_000),
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "subject": "Spring",
            "sending_ip": "203.0.113.9",
            **own,
            **more,
        }


class Resend(Provider):
    """https://resend.com/docs/dashboard/webhooks/event-types"""

    name, url_name = "Resend", "resend_tracking_webhook"
    settings = {"RESEND_SIGNING_SECRET": "whsec_" + base64.b64encode(b"a" * 24).decode()}

    def event(self, what, message_id, to, time, number=0, **more):
        kind, own = {
            "delivered": ("delivered", {}),
            "hard": (
                "bounced",
                {
                    "bounce": {
                        "message": "The recipient's email provider sent a hard bounce message.",
                        "type": "Permanent",
                        "subType": "General",
                    }
                },
            ),
            "soft": (
                "bounced",
                {
                    "bounce": {
                        "message": "The recipient's inbox was full: a general bounce message.",
                        "type": "Transient",
                        "subType": "MailboxFull",
                    }
                },
            ),
            "deferred": ("delivery_delayed", {}),
            "complained": ("complained", {}),
            "opened": ("opened", {}),
            "clicked": ("clicked", {"click": {"link": LINK, "userAgent": PHONE}}),
        }.get(what, (None, None))
        return kind and {
            "type": f"email.{kind}",
            "created_at": _iso(time),
            "data": {
                "created_at": _iso(time),
                "email_id": message_id,
                "from": "Shop <shop@shop.example>",
                "to": [to],
                "subject": "Spring",
                **own,
                **more,
            },
        }

    def headers(self, body):
        from svix.webhooks import Webhook

        now = datetime.now(UTC)
        # The id is the same when the event is sent again; the time is not.
        message = "msg_" + hashlib.sha256(body.encode()).hexdigest()[:27]
        signature = Webhook(self.settings["RESEND_SIGNING_SECRET"]).sign(message, now, body)
        return {
            **BASIC,
            "svix-id": message,
            "svix-timestamp": str(int(now.timestamp())),
            "svix-signature": signature,
        }


class SparkPost(Provider):
    """https://developers.sparkpost.com/api/webhooks/"""

    name, url_name = "SparkPost", "sparkpost_tracking_webhook"
    message_id = "6587000000000000{}"

    def event(self, what, message_id, to, time, number=0, **more):
        group, own = {
            "delivered": ("message_event", {"type": "delivery"}),
            "hard": (
                "message_event",
                {"type": "bounce", "bounce_class": "10", "raw_reason": NO_MAILBOX.format(to=to)},
            ),
            "soft": (
                "message_event",
                {"type": "bounce", "bounce_class": "22", "raw_reason": FULL},
            ),
            "rejected": ("message_event", {"type": "policy_rejection", "bounce_class": "25"}),
            "deferred": (
                "message_event",
                {"type": "delay", "bounce_class": "20", "raw_reason": FULL},
            ),
            "complained": ("message_event", {"type": "spam_complaint", "fbtype": "abuse"}),
            "unsubscribed": ("unsubscribe_event", {"type": "list_unsubscribe"}),
            "opened": (
                "track_event",
                {
                    "type": "open",
                    "user_agent": PHONE,
                    "user_agent_parsed": {"is_prefetched": False, "is_proxy": False},
                },
            ),
            "machine": (
                "track_event",
                {
                    "type": "open",
                    "user_agent": "Mozilla/5.0",
                    "user_agent_parsed": {"is_prefetched": True, "is_proxy": True},
                },
            ),
            "clicked": (
                "track_event",
                {"type": "click", "user_agent": PHONE, "target_link_url": LINK},
            ),
        }[what]
        event = {
            "transmission_id": message_id,
            "event_id": f"{what}-{number}-{message_id}",
            "timestamp": str(int(time.timestamp())),
            "raw_rcpt_to": to,
            "rcpt_to": to.lower(),
            "rcpt_meta": {},
            "ip_address": "192.0.2.7",
            **own,
            **more,
        }
        return {"msys": {group: event}}

    def body(self, events):
        return [json.dumps(events)]


class Mailjet(Provider):
    """https://dev.mailjet.com/email/guides/webhooks/"""

    name, url_name = "Mailjet", "mailjet_tracking_webhook"
    message_id = "115290420{}"

    def event(self, what, message_id, to, time, number=0, **more):
        own = {
            "delivered": {"event": "sent", "smtp_reply": "sent (250 2.0.0 OK)"},
            "hard": {
                "event": "bounce",
                "hard_bounce": True,
                "error_related_to": "recipient",
                "error": "user unknown",
                "comment": NO_MAILBOX.format(to=to),
            },
            "soft": {
                "event": "bounce",
                "hard_bounce": False,
                "error_related_to": "recipient",
                "error": "quota exceeded",
                "comment": FULL,
            },
            "rejected": {
                "event": "blocked",
                "error_related_to": "mailjet",
                "error": "preblocked",
            },
            "deferred": {
                "event": "bounce",
                "hard_bounce": False,
                "error_related_to": "domain",
                "error": "greylisted",
            },
            "complained": {"event": "spam", "source": "JMRPP"},
            "unsubscribed": {"event": "unsub", "agent": PHONE},
            "opened": {"event": "open", "agent": PHONE},
            "machine": {"event": "open", "agent": "Mozilla/5.0"},
            "clicked": {"event": "click", "url": LINK, "agent": PHONE},
        }[what]
        return {
            "time": int(time.timestamp()),
            "MessageID": int(message_id),
            "email": to,
            "mj_campaign_id": 7257,
            "CustomID": "",
            "Payload": "",
            **own,
            **more,
        }

    def body(self, events):
        return [json.dumps(events)]


class Mandrill(Provider):
    """https://mailchimp.com/developer/transactional/docs/webhooks/"""

    name, url_name = "Mandrill", "mandrill_tracking_webhook"
    settings = {"MANDRILL_WEBHOOK_KEY": "a webhook key"}
    message_id = "5f8d0d55b54764421b7156c3{}"
    content_type = "application/x-www-form-urlencoded"

    def event(self, what, message_id, to, time, number=0, **more):
        own = {
            "hard": {"event": "hard_bounce", "diag": NO_MAILBOX.format(to=to)},
            "soft": {"event": "soft_bounce", "diag": FULL},
            "rejected": {"event": "reject"},
            "deferred": {"event": "deferral", "diag": FULL},
            "complained": {"event": "spam"},
            "unsubscribed": {"event": "unsub"},
            "opened": {"event": "open", "user_agent": PHONE},
            "machine": {"event": "open", "user_agent": "Mozilla/5.0"},
            "clicked": {"event": "click", "user_agent": PHONE, "url": LINK},
        }.get(what)  # anymail does not know its new event "delivered"
        diagnosis = {"diag": own.pop("diag")} if own and "diag" in own else {}
        return own and {
            "_id": message_id,
            "ts": int(time.timestamp()),
            "msg": {
                "_id": message_id,
                "email": to,
                "ts": int(time.timestamp()),
                "tags": [],
                "metadata": [],
                **diagnosis,
            },
            **own,
            **more,
        }

    def body(self, events):
        return [urlencode({"mandrill_events": json.dumps(events)})]

    def headers(self, body):
        from urllib.parse import parse_qs

        from django.urls import reverse

        events = parse_qs(body)["mandrill_events"][0]
        url = f"http://{SECRET}@testserver{reverse('anymail:' + self.url_name)}"
        signed = f"{url}mandrill_events{events}"
        key = self.settings["MANDRILL_WEBHOOK_KEY"].encode()
        digest = hmac.new(key, signed.encode(), hashlib.sha1).digest()
        return {**BASIC, "X-Mandrill-Signature": base64.b64encode(digest).decode()}


class Postal(Provider):
    """https://docs.postalserver.io/developer/webhooks"""

    name, url_name = "Postal", "postal_tracking_webhook"
    settings = {"POSTAL_WEBHOOK_KEY": _public(_RSA_KEY)}
    message_id = "12{}"

    def event(self, what, message_id, to, time, number=0, **more):
        message = {"id": int(message_id), "token": "abcdef", "to": to, "from": "shop@shop.example"}
        kind, own = {
            "delivered": ("MessageSent", {"status": "Sent", "output": "250 OK"}),
            "soft": (
                "MessageBounced",
                {"bounce": {"id": 4, "to": "x@psrp.example", "from": ""}},
            ),
            "hard": (
                "MessageDeliveryFailed",
                {"status": "HardFail", "output": NO_MAILBOX.format(to=to)},
            ),
            "deferred": ("MessageDelayed", {"status": "SoftFail", "output": FULL}),
            "clicked": ("MessageLinkClicked", {"url": LINK, "user_agent": PHONE}),
        }.get(what, (None, None))
        target = "original_message" if kind == "MessageBounced" else "message"
        return kind and {
            "event": kind,
            "timestamp": time.timestamp(),
            "uuid": f"{what}-{number}-{message_id}",
            "payload": {target: message, **own, **more},
        }

    def headers(self, body):
        signature = _RSA_KEY.sign(body.encode(), padding.PKCS1v15(), hashes.SHA1())
        return {**BASIC, "X-Postal-Signature": base64.b64encode(signature).decode()}


PROVIDERS = [
    *(SendGrid(), Mailgun(), Postmark(), AmazonSES(), Brevo(), Resend()),
    *(SparkPost(), Mailjet(), Mandrill(), Postal()),
]
