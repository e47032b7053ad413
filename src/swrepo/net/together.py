"""Several small GETs on one line, sent at once: near a server, where the next answer is there when one was taken.

One system call asks for all of them and one takes several answers; with a connection for each it is four for each. Far
away, or behind a proxy that has to ask a server itself, one would wait for the other: there libcurl asks side by side.
"""

from __future__ import annotations

import select
from collections.abc import Iterator, Sequence

from swrepo.net.answers import Answer, Unusual
from swrepo.net.lines import Line, Lines


def answers(
    lines: Lines, line: Line, requests: Sequence[bytes], most: Sequence[int], patience: float
) -> Iterator[Answer]:
    """The answers in order, fewer where the connection ends, or no answer comes for `patience` seconds. Ends the loan.

    `most`: bytes that the body of each may have.
    """
    poll = select.poll()
    poll.register(line.fileno(), select.POLLIN)
    is_free = is_late = False
    try:
        line.send(b"".join(requests))
        for limit in most:
            while (answer := line.receive(limit)) is None:
                if not poll.poll(patience * 1000):
                    is_late = True
                    return
            is_free = False
            yield answer
            if answer.is_last:
                return
        is_free = True
    except (OSError, Unusual) as error:
        is_late = isinstance(error, Unusual)
    finally:
        if is_free:
            lines.give_back(line)
        else:
            lines.drop(line, pause=is_late)
