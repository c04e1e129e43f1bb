"""Emails: text and HTML have the same content, and the message is well-formed for all inputs."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import parseaddr

import pytest

from api.emails import (
    DeliveryTestEmail,
    Email,
    NewAccountEmail,
    PasswordResetEmail,
    mailbox,
    make_message,
    render,
)
from config import Settings
from tests.provision import make_settings

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhYmMifQ.s3cr-t_A"
RESET = PasswordResetEmail(to="ada@example.com", token=TOKEN)
LETTERS: list[Email] = [
    RESET,
    NewAccountEmail(to="ada@example.com"),
    DeliveryTestEmail(to="ada@example.com"),
]
# A name that Python's own headers fold into another one; a comma, quotes and a bracket are syntax there.
AWKWARD = 'Zoë\'s "Größe", (株式会社) <x@y>; ' + "über " * 12 + "🦀"


def settings(**values: object) -> Settings:
    """Return settings with a front end of their own."""
    return make_settings(frontend_host="https://app.example.com", **values)


def sent(email: Email, settings: Settings) -> bytes:
    """Return the message as it goes over the wire."""
    message = make_message(email, settings)
    return message.as_bytes(policy=policy.SMTPUTF8 if not email.to.isascii() else policy.SMTP)


def read(raw: bytes) -> EmailMessage:
    """Read a message as its receiver does."""
    message = message_from_bytes(raw, policy=policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def raw_headers(raw: bytes) -> Message:
    """Read a message without Python's parser of phrases, which puts blanks between encoded words."""
    return message_from_bytes(raw, policy=policy.compat32)


def unix(text: str) -> str:
    """Return the text with the line ends of Python instead of those of mail."""
    return text.replace("\r\n", "\n")


def decoded(text: str) -> str:
    """Decode encoded words."""
    return str(make_header(decode_header(text)))


# -- the words -----------------------------------------------------------------------------------


def test_render_reset_has_the_link_in_both_forms() -> None:
    """In the HTML it ends its attribute, as clients of the API's route for it expect."""
    rendered = render(RESET, settings(project_name="Shop"))
    link = f"https://app.example.com/reset-password?token={TOKEN}"
    assert rendered.subject == "Reset your Shop password"
    assert re.findall(r'href="([^"]*)"', rendered.html) == [link]
    assert link in rendered.text.splitlines()
    for words in (rendered.text, rendered.html):
        assert "ada@example.com" in words
        assert "Shop" in words


def test_render_new_account_leads_to_the_login() -> None:
    """It says where and as whom to sign in."""
    rendered = render(NewAccountEmail(to="ada@example.com"), settings())
    assert rendered.subject == "Your new EitherDB account"
    assert 'href="https://app.example.com/login"' in rendered.html
    assert "https://app.example.com/login" in rendered.text.splitlines()
    assert "ada@example.com" in rendered.html
    assert "ada@example.com" in rendered.text


def test_render_trial_says_that_there_is_nothing_to_do() -> None:
    """No link leads anywhere."""
    rendered = render(DeliveryTestEmail(to="ada@example.com"), settings())
    assert rendered.subject == "Test mail from EitherDB"
    assert "href" not in rendered.html
    assert "nothing to do" in rendered.html
    assert "nothing to do" in rendered.text


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (1, "1 minute"),
        (59, "59 minutes"),
        (60, "1 hour"),
        (90, "90 minutes"),
        (120, "2 hours"),
        (1440, "1 day"),
        (10_080, "7 days"),
    ],
)
def test_render_reset_says_how_long_the_link_works(minutes: int, words: str) -> None:
    """In the largest unit that says it exactly."""
    rendered = render(RESET, settings(password_reset_expire_minutes=minutes))
    assert f"link works for {words}" in rendered.text
    assert f"link works for {words}" in rendered.html


@pytest.mark.parametrize("email", LETTERS, ids=lambda email: email.kind)
def test_render_escapes_in_html_only(email: Email) -> None:
    """A name with markup in it is shown, not obeyed, and the text has it as it is."""
    rendered = render(email, settings(project_name="<b>R&D</b>"))
    assert "<b>" not in rendered.html
    assert "&lt;b&gt;R&amp;D&lt;/b&gt;" in rendered.html
    assert "<b>R&D</b>" in rendered.text
    assert "&amp;" not in rendered.text


def test_render_quotes_the_token() -> None:
    """A token can't leave its place in the link."""
    rendered = render(PasswordResetEmail(to="ada@example.com", token='x"&y=z#<'), settings())
    assert 'href="https://app.example.com/reset-password?token=x%22%26y%3Dz%23%3C"' in rendered.html


def test_letters_show_no_secret() -> None:
    """Neither an email nor what it was rendered to has the token in its representation; both are frozen."""
    assert TOKEN not in repr(RESET)
    assert TOKEN not in repr(render(RESET, settings()))
    with pytest.raises(FrozenInstanceError):
        RESET.to = "eve@example.com"  # type: ignore[misc] # what is tested


# -- the message ---------------------------------------------------------------------------------


def test_message_has_text_and_html() -> None:
    """multipart/alternative, the plainest form first (RFC 2046 section 5.1.4), nothing else."""
    given = settings(project_name="Größe")
    message, rendered = read(sent(RESET, given)), render(RESET, given)
    assert message.get_content_type() == "multipart/alternative"
    parts = [(part.get_content_type(), unix(part.get_content())) for part in message.iter_parts()]
    assert parts == [("text/plain", rendered.text), ("text/html", rendered.html)]


def test_message_has_the_headers_of_a_generated_mail() -> None:
    """From with a name, To, Subject, Date, Message-ID, Auto-Submitted; one of each."""
    given = settings(emails_from_name="Shop", emails_from_email="post@mail.example.com")
    message = read(sent(RESET, given))
    assert message["From"] == "Shop <post@mail.example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Reset your EitherDB password"
    assert abs(datetime.now(UTC) - message["Date"].datetime) < timedelta(minutes=1)
    assert re.fullmatch(r"<[^<>@\s]+@mail\.example\.com>", message["Message-ID"])
    assert message["Auto-Submitted"] == "auto-generated"
    assert len(set(message.keys())) == len(message.keys())


def test_message_has_an_id_of_its_own() -> None:
    """Two messages of one email are two."""
    assert len({make_message(RESET, settings())["Message-ID"] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    "name",
    [
        "EitherDB",
        'Ada "Countess", Lovelace',
        "O'Neil; (Sons) \\ <x@y>",
        "株式会社",
        "Söhne, GmbH",
        AWKWARD,
        "=?utf-8?q?forged?=",
        "x" * 100,
        "ü" * 100,
    ],
)
def test_message_keeps_any_name(name: str) -> None:
    """As the sender's name and in the subject; every line is ASCII and short enough."""
    raw = sent(RESET, settings(project_name=name))
    headers = raw_headers(raw)
    display_name, address = parseaddr(headers["From"])
    assert (decoded(display_name), address) == (name, "info@example.com")
    assert decoded(headers["Subject"]) == f"Reset your {name} password"
    assert raw.isascii()
    assert max(len(line) for line in raw.splitlines()) < 200


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ada@müller.example", "ada@xn--mller-kva.example"),
        ("zoë@example.com", "zoë@example.com"),
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
        ("o'neil+tag=x/y@example.com", "o'neil+tag=x/y@example.com"),
        (f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example.com", f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example.com"),
    ],
)
def test_message_takes_any_address(address: str, expected: str) -> None:
    """The domain goes out in ASCII, so that only a local part demands SMTPUTF8 of the server."""
    assert mailbox(address) == expected
    raw = sent(DeliveryTestEmail(to=address), settings())
    assert f"\r\nTo: {expected}\r\n".encode() in raw


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\nBcc: eve@example.com",
        "ada\r\nBcc: eve@example.com",
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        "ada@example.com> SIZE=1",
        "",
    ],
)
def test_message_refuses_what_is_no_address(address: str) -> None:
    """No header and no second recipient comes in through an address."""
    with pytest.raises(ValueError, match=r"email address|@-sign"):
        make_message(DeliveryTestEmail(to=address), settings())


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_message_folds_no_header_into_two(line_end: str) -> None:
    """The settings refuse line ends in names; were they to come through, they would begin no header."""
    forged = settings().model_copy(
        update={"project_name": f"Shop{line_end}Bcc: eve@example.com{line_end}é"}
    )
    assert "Bcc" not in read(sent(RESET, forged))
    forged = settings().model_copy(update={"project_name": f"Shop{line_end}Bcc: eve@example.com"})
    assert "Bcc" not in read(sent(RESET, forged))
