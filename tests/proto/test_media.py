import pytest

from proto.errors import ErrorCode, RequestError
from proto.media import Media, media_of, negotiate


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("application/vnd.apache.arrow.stream", Media.ARROW),
        ("Application/JSON; charset=UTF-8", Media.JSON),
        ('text/csv;charset="utf-8";header=present', Media.CSV),
        ("application/x-parquet", Media.PARQUET),
        ("application/vnd.apache.parquet", Media.PARQUET),
    ],
)
def test_known_types(header: str, media: Media) -> None:
    assert media_of(header) is media


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (None, "There is no Content-Type"),
        ("", "There is no Content-Type"),
        ("application/vnd.apache.arrow.file", "stream format"),
        ("multipart/form-data; boundary=x", "not a form"),
        ("text/csv; charset=latin1", "utf-8 only"),
        ("image/png", "image/png"),
    ],
)
def test_unknown_types_say_what_is_accepted(header: str | None, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        media_of(header)
    assert caught.value.code is ErrorCode.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize(
    ("accept", "body", "reply"),
    [
        (None, Media.ARROW, Media.ARROW),
        ("*/*", Media.JSON, Media.JSON),
        ("", Media.CSV, Media.CSV),
        ("*/*", Media.PARQUET, Media.ARROW),
        ("text/*", Media.JSON, Media.CSV),
        ("application/json", Media.ARROW, Media.JSON),
        ("application/json;q=0.5, text/csv", Media.ARROW, Media.CSV),
        ("application/json, */*;q=0.1", Media.ARROW, Media.JSON),
        ("application/json, */*", Media.ARROW, Media.JSON),
        ("application/vnd.apache.arrow.stream;q=0, */*", Media.ARROW, Media.JSON),
        ("application/*", Media.JSON, Media.JSON),
        ("image/png, */*;q=0.01", Media.CSV, Media.CSV),
        ("text/csv;q=nan, application/json;q=0.1", Media.CSV, Media.JSON),
    ],
)
def test_negotiation(accept: str | None, body: Media, reply: Media) -> None:
    assert negotiate(accept, body) is reply


def test_a_reply_in_one_format_only() -> None:
    assert negotiate("*/*", Media.ARROW, (Media.JSON,)) is Media.JSON
    with pytest.raises(RequestError, match="application/json") as caught:
        negotiate("text/html", Media.ARROW, (Media.JSON,))
    assert caught.value.code is ErrorCode.NOT_ACCEPTABLE
