"""Coverage-guided fuzzing of the readers, in process: finds bodies that mutations alone do not; `make fuzz` sends them.

python -m loadtests.fuzz.guided arrow --seconds 600, then make fuzz OPTIONS="--corpus .demo/corpus"; with
--replay as well each body is sent as it is

It needs atheris (libFuzzer for Python, Linux only), which is no part of the development environment: .venv/bin/pip
install atheris. Anything but a refusal ends it, and leaves the body in a file crash-….
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["proto", "service"]):
    from proto.errors import RequestError, problem
    from proto.limits import Limits
    from proto.media import Media
    from proto.options import SegmentOptions
    from proto.schemas import assign
    from service.readers import decode_whole, open_reader

from loadtests.fuzz.seeds import Seeds

FOLDER = Path(".demo/corpus")
MEDIA = {"arrow": Media.ARROW, "json": Media.JSON, "csv": Media.CSV, "parquet": Media.PARQUET}
LIMITS = Limits(max_message_bytes=1 << 26)


def _wanted(names: Any, _: Any) -> Any:
    return assign(names, SegmentOptions(), None)


def _seeds(form: str) -> list[bytes]:
    golden = json.loads((Path(__file__).parents[2] / "proto/golden/fit-arrow.reply.json").read_bytes())
    seeds = Seeds.of({"shop": golden, "people": golden})
    match form:
        case "arrow":
            return seeds.arrow
        case "parquet":
            return seeds.parquet
        case "csv":
            return [text.encode() for text in seeds.csv]
        case _:
            return [json.dumps({"rows": rows[:3]}).encode() for rows in seeds.rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("format", choices=MEDIA)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    media, folder = MEDIA[args.format], FOLDER / args.format
    folder.mkdir(parents=True, exist_ok=True)
    for i, body in enumerate(_seeds(args.format)):
        (folder / f"seed-{i}").write_bytes(body)

    def in_one_piece_and_in_two(data: bytes) -> None:
        try:
            decode_whole(media, data, _wanted, LIMITS)
            reader = open_reader(media, _wanted, LIMITS)
            half = len(data) // 2
            frames = [*reader.feed(data[:half]), *(reader.feed(data[half:]) if data[half:] else []), *reader.finish()]
            for frame in frames:
                list(reader.decode(frame))
        except RequestError as error:
            json.dumps(problem(error), default=str)

    options = [f"-max_total_time={args.seconds}", "-max_len=8192", "-rss_limit_mb=1024", "-timeout=10", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(folder)], in_one_piece_and_in_two)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
