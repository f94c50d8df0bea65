"""Runs `sales-vault` and sends it a signal after the n-th call of a method, without a hook in it.

    python -m tests.vault.killer server:Server.write 3 SIGKILL -- setup --plan FILE

The method is looked up by name, so one that is renamed away fails loudly.
"""

import functools
import importlib
import os
import signal
import sys
from itertools import count

from sales_vault.__main__ import main as program


def arm(target: str, nth: int, number: signal.Signals) -> None:
    """Have the process send itself a signal once the n-th call has returned."""
    module, _, path = target.partition(":")
    owner_name, _, name = path.partition(".")
    owner = getattr(importlib.import_module(f"sales_vault.{module}"), owner_name)
    method, calls = getattr(owner, name), count(1)

    @functools.wraps(method)
    def wrapped(*args, **kwargs):
        due = next(calls) == nth
        answer = method(*args, **kwargs)
        if due:
            os.kill(os.getpid(), number)
        return answer

    setattr(owner, name, wrapped)


def main() -> None:
    """Arm the point, then be the program."""
    split = sys.argv.index("--")
    target, nth, name = sys.argv[1:split]
    arm(target, int(nth), signal.Signals[name])
    sys.argv = ["sales-vault", *sys.argv[split + 1 :]]
    program()


if __name__ == "__main__":
    main()
