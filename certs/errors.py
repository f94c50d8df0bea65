"""The one error of this package."""


class CertsError(Exception):
    """What went wrong, where, and how to mend it.

    Args:
        what: The fact, in one clause, free of secrets.
        where: The file, folder or program concerned.
        mend: What a human can do about it.
    """

    def __init__(self, what: str, *, where: object, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where)
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}"
