"""The leaderboard in a browser, as a user would look at it."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import leaderboards
from cryodenoise.config.submission import LeftOut
from cryodenoise.report.leaderboard import write
from cryodenoise.submission.ranking import leaderboard

pytestmark = pytest.mark.e2e

LAPTOP = "section[data-track=truth]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two leaderboards: one as one would like them, one of packages that mean harm."""
    folder = tmp_path_factory.mktemp("leaderboards")
    write(leaderboard(leaderboards.twelve(), leaderboards.left_out()), folder / "fair")
    bad = leaderboards.HOSTILE
    texts = ("organization", "system", "descriptor", "reference_set", "model", "best_baseline", "device")
    entry = leaderboards.entry(**dict.fromkeys(texts, bad), reviews=[bad], page="javascript:alert(1)")
    long_name = leaderboards.entry(**dict.fromkeys(texts, "w" * 1000), reviews=["w" * 1000], page=None)
    write(leaderboard([entry, long_name], [LeftOut(name=bad, findings=[bad, "w" * 1000])]), folder / "hostile")
    return folder


@pytest.fixture
def tab(browser: Any, folder: Path) -> Iterator[Any]:
    """The browser with the fair page; no page may have said or asked for anything when the test is over."""
    browser.get_log("performance")
    browser.get_log("browser")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    resize(browser, 1280)
    browser.get(address(folder, "fair"))
    yield browser
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    requested = {params["request"]["url"].partition("#")[0] for params in sent}
    ours = {address(folder, name) for name in ("fair", "hostile")}
    assert {each for each in requested if not each.startswith("data:")} <= ours


def address(folder: Path, name: str) -> str:
    return (folder / name / "leaderboard.html").as_uri()


def resize(tab: Any, width: int) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    tab.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def choose(tab: Any, name: str, text: str) -> None:
    tab.find_element("xpath", f"//select[@id='{name}']/option[normalize-space()='{text}']").click()


def texts(tab: Any, selector: str) -> list[str]:
    """What is to be seen of elements."""
    found: list[str] = tab.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length)"
        ".map(e => e.textContent.trim())",
        selector,
    )
    return found


def press(tab: Any, column: str) -> str:
    """Press a heading of the laptop's table; returns its `aria-sort`."""
    heading = tab.find_element("xpath", f"//section[@data-track='truth']//th[button='{column}']")
    tab.execute_script("arguments[0].scrollIntoView({block: 'center'})", heading)
    heading.find_element("css selector", "button").click()
    sorted_: str = heading.get_attribute("aria-sort")
    return sorted_


def letters(tab: Any) -> str:
    return "".join(texts(tab, f"{LAPTOP} tbody .letters"))


@pytest.mark.parametrize("width", [400, 1280])
def test_a_press_on_a_heading_sorts(tab: Any, width: int) -> None:
    resize(tab, width)
    assert letters(tab) == "ABCDEFG"
    assert press(tab, "PSNR/dB") == "descending"
    assert letters(tab) == "FGABCDE"
    assert press(tab, "PSNR/dB") == "ascending"
    assert letters(tab) == "EDCBAGF"
    assert press(tab, "training") == "ascending"
    assert letters(tab) == "BACDGEF"
    assert len(tab.find_elements("css selector", "[aria-sort]")) == 1
    assert press(tab, "submission") == "ascending"
    names = texts(tab, f"{LAPTOP} .name")
    assert names == sorted(names)


def test_what_has_no_value_is_last_in_both_orders(tab: Any) -> None:
    assert press(tab, "GPU memory") == "ascending"
    assert letters(tab) == "DCBAGFE"
    assert press(tab, "GPU memory") == "descending"
    assert letters(tab) == "FAGBCDE"


def test_headings_are_pressed_by_keys(tab: Any) -> None:
    heading = tab.find_element("xpath", "//section[@data-track='truth']//th[button='SSIM']")
    heading.find_element("css selector", "button").send_keys("\ue007")  # Enter
    assert heading.get_attribute("aria-sort") == "descending"
    assert letters(tab)[0] == "F"


def test_tracks_and_divisions_are_filtered(tab: Any) -> None:
    assert texts(tab, "h2")[:3] == ["Added noise: empiar-10025", "Truth: simulated-laptop", "Halves: simulated-halves"]
    assert texts(tab, "#shown") == ["12 of 12 shown"]
    choose(tab, "track", "Truth")
    assert texts(tab, ".set h2") == ["Truth: simulated-laptop"]
    assert texts(tab, "#shown") == ["7 of 12 shown"]
    choose(tab, "division", "open")
    assert letters(tab) == "FG"
    choose(tab, "track", "Added noise")
    assert texts(tab, ".set h2") == []
    assert texts(tab, "#shown") == ["0 of 12 shown"]
    choose(tab, "track", "all")
    assert texts(tab, ".set h2") == ["Truth: simulated-laptop", "Halves: simulated-halves"]
    choose(tab, "division", "all")
    assert texts(tab, "#shown") == ["12 of 12 shown"]


def marks(tab: Any, across: str) -> str:
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.letters).sort().join('')"
    found: str = tab.execute_script(script, f"{LAPTOP} figure[data-across={across}]:not([hidden]) svg .mark")
    return found


def test_charts_show_what_the_filters_leave(tab: Any) -> None:
    assert marks(tab, "time") == marks(tab, "host") == "ABCDEFG"
    assert marks(tab, "gpu") == "ABCDFG"
    assert "Without a peak GPU memory: E." in texts(tab, f"{LAPTOP} figcaption")[1]
    choose(tab, "division", "closed")
    assert (marks(tab, "time"), marks(tab, "gpu")) == ("ABCDE", "ABCD")
    choose(tab, "division", "open")
    assert marks(tab, "time") == "FG"
    choose(tab, "division", "all")
    halves = texts(tab, "section[data-track=halves] figure h3")
    assert halves == ["PSNR against training time", "PSNR against peak host memory"]  # none ran on a GPU


@pytest.mark.parametrize("width", [400, 1280])
def test_marks_stand_where_their_values_are(tab: Any, width: int) -> None:
    """Places are compared with those that the ticks of both axes give."""
    resize(tab, width)
    tab.get(tab.current_url)
    figure = f"{LAPTOP} figure[data-across=time]"
    found = tab.execute_script(
        """
        const svg = document.querySelector(arguments[0] + " svg");
        const ticks = (anchor) => [...svg.querySelectorAll(`.tick[text-anchor=${anchor}]`)]
          .map(e => [e.textContent, Number(e.getAttribute(anchor === "end" ? "y" : "x"))]);
        const marks = [...svg.querySelectorAll("circle")].map(e => [e.parentElement.dataset.letters,
          Number(e.getAttribute("cx")), Number(e.getAttribute("cy"))]);
        return {across: ticks("middle"), up: ticks("end"), marks, box: svg.viewBox.baseVal.width};
        """,
        figure,
    )
    seconds = {"s": 1, "min": 60, "h": 3600}
    (low, x_low), (high, x_high) = found["across"][0], found["across"][-1]
    first, last = (float(text.split()[0]) * seconds[text.split()[1]] for text in (low, high))
    (down, y_down), (up, y_up) = found["up"][0], found["up"][-1]
    rows = tab.execute_script(
        "return Object.fromEntries([...document.querySelectorAll(arguments[0])]"
        ".map(e => [e.dataset.letters, [Number(e.dataset.time), Number(e.dataset.psnr)]]))",
        f"{LAPTOP} tbody tr",
    )
    assert len(found["marks"]) == 5
    for name, x, y in found["marks"]:
        time, psnr = rows[name]
        share = math.log(time / first) / math.log(last / first)
        assert x == pytest.approx(x_low + share * (x_high - x_low), abs=0.5)
        assert y + 4 == pytest.approx(
            y_down + (psnr - float(down)) / (float(up) - float(down)) * (y_up - y_down), abs=0.5
        )
    assert 3 <= len(found["up"]) <= 9
    assert found["box"] <= width


@pytest.mark.parametrize("width", [400, 1280])
def test_letters_and_ticks_do_not_lie_on_one_another(tab: Any, width: int) -> None:
    resize(tab, width)
    tab.get(tab.current_url)
    overlapping = tab.execute_script(
        """
        const found = [];
        for (const svg of document.querySelectorAll("figure:not([hidden]) svg")) {
          const boxes = [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()]);
          const outer = svg.getBoundingClientRect();
          for (const [text, a] of boxes) {
            if (a.left < outer.left - 1 || a.right > outer.right + 1) found.push([text, "outside"]);
            for (const [other, b] of boxes) {
              const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top + 3 || b.bottom <= a.top + 3;
              if (a !== b && !apart) found.push([text, other]);
            }
          }
        }
        return found;
        """
    )
    assert overlapping == []
    assert len(tab.find_elements("css selector", "svg .letter")) == len(tab.find_elements("css selector", "svg .mark"))


@pytest.mark.parametrize("name", ["fair", "hostile"])
@pytest.mark.parametrize("width", [400, 640, 1280])
def test_nothing_is_wider_than_the_window(tab: Any, folder: Path, width: int, name: str) -> None:
    resize(tab, width)
    tab.get(address(folder, name))
    tab.execute_script("for (const closed of document.querySelectorAll('details')) closed.open = true")
    assert tab.execute_script("return document.documentElement.scrollWidth") <= width
    beyond = tab.execute_script(
        "return [...document.body.querySelectorAll('*')].filter(e => !e.closest('.scroll') || e.matches('.scroll'))"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert beyond == []
    if width != 640:
        wide = "return [...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
        assert max(tab.execute_script(wide)) == 0


def test_a_chart_is_drawn_anew_for_another_width(tab: Any) -> None:
    widths = []
    for width in (1280, 400):
        resize(tab, width)
        tab.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        script = "const s = document.querySelector('svg'); return [s.viewBox.baseVal.width, s.clientWidth]"
        drawn, shown = tab.execute_script(script)
        assert drawn == pytest.approx(shown, abs=1)
        widths.append(drawn)
    assert widths[0] != widths[1]


def test_what_packages_say_is_only_read(tab: Any, folder: Path) -> None:
    tab.get(address(folder, "hostile"))
    assert tab.find_elements("css selector", "img") == []
    assert len(tab.find_elements("css selector", "script")) == 1
    assert tab.find_elements("css selector", "a[href^=javascript]") == []
    assert texts(tab, ".name")[0].startswith("</script><img src=x onerror=alert(1)>|`[a](javascript:alert(1))\\u202e")
    assert tab.execute_script("return document.querySelector('svg title').textContent").startswith("A: </script>")
    choose(tab, "division", "closed")
    assert texts(tab, "#shown") == ["2 of 2 shown"]


def test_dark_is_dark(tab: Any) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        tab.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        colours[scheme] = tab.execute_script(
            "return ['body', 'svg circle', 'svg text'].map(s => getComputedStyle(document.querySelector(s)))"
            ".map((style, place) => place ? style.fill : style.backgroundColor)"
        )
    assert colours["light"] == ["rgb(255, 255, 255)", "rgb(0, 114, 178)", "rgb(88, 94, 102)"]
    assert colours["dark"] == ["rgb(21, 24, 28)", "rgb(86, 180, 233)", "rgb(163, 171, 181)"]


def test_what_is_folded_is_printed(tab: Any) -> None:
    assert len(tab.print_page()) > 10_000
    assert tab.execute_script("return [...document.querySelectorAll('details')].every(d => d.open)")
