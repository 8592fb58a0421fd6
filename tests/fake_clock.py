"""A clock that moves only when a test advances it."""


class Clock:
    def __init__(self, read_ns: int = 0) -> None:
        self.now_ns = 0
        self.read_ns = read_ns

    def __call__(self) -> int:
        self.now_ns += self.read_ns
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def work(self, *times_ns: int):  # noqa: ANN201
        """A call that takes these times, repeatedly."""

        def call(at: int) -> None:
            self.now_ns += times_ns[at % len(times_ns)]

        return call
