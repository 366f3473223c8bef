"""What the network sources share: index pages, lengths of files, and fetching them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote, urljoin

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.config.sources import SelectionParameters, TransferParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.sources.client import Client, PermanentError, TransientError, ask, persist
from cryodenoise.sources.gather import Gathering, in_threads
from cryodenoise.sources.journal import Journal
from cryodenoise.sources.listing import Announced, Listing, SourceFile, again, counted, names_in_index, select
from cryodenoise.sources.transfer import kept_bytes, transfer

_LARGEST_PAGE_BYTES = 64 << 20
List = Callable[[DownloadParameters, Client], Listing]
"""Lists the files of a network source; raises PermanentError or UserError."""


def read_index(client: Client, url: str) -> tuple[str, list[str], list[str]]:
    """The folder that an index page stands for, its files, and why other links were left out.

    Raises:
        PermanentError: If there is no such page.
    """

    def fetch() -> tuple[str, list[str], list[str]]:
        with client.request("GET", url) as response:
            if "html" not in response.headers.get("Content-Type", ""):
                raise PermanentError(
                    f"{url}: no index page: it is {response.headers.get('Content-Type', 'of no type')}"
                )
            page = bytearray()
            for block in response.iter_content(1 << 16):
                page += block
                if len(page) > _LARGEST_PAGE_BYTES:
                    raise PermanentError(f"{url}: more than {_LARGEST_PAGE_BYTES} bytes, no index page")
            tells_its_end = any(name in response.headers for name in ("Content-Length", "Transfer-Encoding"))
            if not tells_its_end and b"</html" not in page.lower():
                raise TransientError(f"{url}: the index page is cut off")
            here = response.url
        text = page.decode(errors="replace")
        return urljoin(here, "."), *names_in_index(text, here)

    return persist(client, fetch)


def addresses(folders: Iterable[str], name: str) -> tuple[str, ...]:
    """The address of a file in each of several folders."""
    return tuple(folder + quote(name) for folder in folders)


def survey(
    listing: Listing,
    selection: SelectionParameters,
    client: Client,
    known: Mapping[str, Announced],
    mend: Collection[str],
) -> list[SourceFile]:
    """The selected files, with the lengths that their servers announce.

    Args:
        listing: All files.
        selection: Which of them are wanted.
        client: Sends the requests.
        known: What need not be asked again.
        mend: The only ones of the selected that are wanted; empty for all.

    Raises:
        UserError: If a server does not tell.
    """

    def look(name: str) -> SourceFile:
        urls = listing.urls[name]
        if name in known:
            return SourceFile(name, urls, known[name], listing.role)
        problems = []
        for number, url in enumerate(urls):
            try:
                told = persist(client, partial(ask, client, url))
                return SourceFile(name, urls[number:], told, listing.role)
            except PermanentError as error:
                problems.append(str(error))
        raise PermanentError("; ".join(problems))

    names = again(select(listing.urls, selection, listing.place), mend, listing.place)
    found = {}
    with closing(in_threads(look, names, client.transfer.connections, client.stop)) as results:
        for name, result in results:
            if isinstance(result, Exception):
                raise result
            found[name] = result
    return [found[name] for name in names]


@contextmanager
def _client(transfer: TransferParameters, console: Console | None = None) -> Iterator[Client]:
    """Connections within the block; what no attempt can mend becomes a UserError."""

    def note(text: str, matters: bool) -> None:
        if console:
            console.say(text) if matters else console.log(text)

    client = Client(transfer, note=note)
    try:
        yield client
    except PermanentError as error:
        raise UserError(f"{error}: see that the address is right and the server is up, then run again") from error
    finally:
        client.close()


def plan_network(parameters: DownloadParameters, selection: SelectionParameters, list_files: List) -> list[SourceFile]:
    """The files that a network source would bring, with their lengths; nothing is fetched or written."""
    with _client(parameters.transfer) as client:
        return survey(list_files(parameters, client), selection, client, {}, ())


def fetch_network(
    parameters: DownloadParameters,
    selection: SelectionParameters,
    list_files: List,
    raw_dir: Path,
    console: Console,
    mend: Mapping[str, RawFile],
) -> list[RawFile]:
    """Bring the files of a network source into raw_dir; see `sources.Fetch`."""
    journal = Journal(raw_dir)
    known = {name: Announced(file.size_bytes, None) for name, file in journal.finished.items()}
    with _client(parameters.transfer, console) as client:
        listing = list_files(parameters, client)
        console.say(f"{listing.place}: {counted(len(listing.urls))}")
        for reason in listing.left_out:
            console.say(f"left out: {reason}")
        files = survey(listing, selection, client, known, mend)
    if not mend:
        journal.require_listed([file.name for file in files], listing.place)
    with _client(parameters.transfer, console) as client:
        return Gathering(
            place=listing.place,
            files=files,
            bring=lambda file, reached: transfer(client, file, raw_dir, journal, reached),
            kept=lambda file: kept_bytes(file, raw_dir, journal),
            journal=journal,
            raw_dir=raw_dir,
            console=console,
            threads=parameters.transfer.connections,
            stop=client.stop,
            sha256={name: file.sha256 for name, file in mend.items()},
        ).run()
