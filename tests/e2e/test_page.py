"""The page of a report in a browser, as a user would look at it."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import matplotlib.image
import numpy as np
import pytest

import comparisons
import reports
from cryodenoise.report import compared_page
from cryodenoise.report.build import write_all, write_comparison

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of a report's page, of several runs' and of a comparison of systems."""
    folder = tmp_path_factory.mktemp("pages")
    shown, other = reports.images(96), reports.images(96, smoothing_px=0.8)
    long_name = "a_network_of_ones_own.with_a_long_name:build_the_whole_of_it_with_many_arguments"
    network = reports.report().denoiser.model_copy(update={"name": long_name})
    runs = {
        folder / "a": (reports.report(shown), reports.measures(shown, shown.truth)),
        folder / "b": (reports.report(other, denoiser=network), reports.measures(other, other.truth)),
    }
    report, measures = runs[folder / "a"]
    page = write_all(folder / "a", report, measures, folder)[0]
    systems = folder / "COMPARISON.html"
    systems.write_text(compared_page.page(comparisons.record(), comparisons.PARAMETERS, comparisons.pictures()))
    several = write_comparison(runs, folder)[0]
    return {"report": page.as_uri(), "comparison": several.as_uri(), "systems": systems.as_uri()}


@pytest.fixture
def tab(browser: Any, pages: dict[str, str]) -> Iterator[Any]:
    """The browser with the report's page, which must have said and asked for nothing when the test is over."""
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(pages["report"])
    yield browser
    assert browser.get_log("browser") == []
    assert {address for address in requested(browser) if not address.startswith("data:")} <= set(pages.values())


def requested(browser: Any) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


def resize(tab: Any, width: int) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    tab.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def seen(tab: Any, selector: str) -> np.ndarray:
    """What is on the screen of an element, shape (h, w, 3)."""
    element = tab.find_element("css selector", selector)
    tab.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return np.asarray(matplotlib.image.imread(BytesIO(element.screenshot_as_png), format="png"))[..., :3]


def choose(tab: Any, selector: str, text: str) -> None:
    option = f"//select[@class='{selector}']/option[normalize-space()='{text}']"
    tab.find_element("xpath", option).click()


def test_every_image_is_loaded(tab: Any) -> None:
    loaded = tab.execute_script(
        "return Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth, () => 0)))"
    )
    assert len(loaded) == 12 + 8 + 2  # examples, charts, and the two that are compared
    assert min(loaded) > 0


def test_every_picture_of_a_comparison_is_loaded(tab: Any, pages: dict[str, str]) -> None:
    tab.get(pages["systems"])
    loaded = tab.execute_script(
        "return Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth, () => 0)))"
    )
    assert len(loaded) == 2 * (1 + 3)  # a chart and three pictures of each track
    assert min(loaded) > 0


def test_the_slider_is_moved_by_keys_and_changes_what_is_seen(tab: Any) -> None:
    resize(tab, 1280)
    slider = tab.find_element("css selector", ".compare input")
    assert slider.is_displayed()
    half = seen(tab, ".stage")
    slider.send_keys("\ue010")  # End
    left = seen(tab, ".stage")
    assert slider.get_attribute("value") == "100"
    slider.send_keys("\ue011")  # Home
    right = seen(tab, ".stage")
    middle = half.shape[1] // 2
    inside = slice(20, half.shape[0] - 60)  # away from the names below
    for drawn, expected, columns in ((half, left, slice(5, middle - 5)), (half, right, slice(middle + 5, -5))):
        assert np.abs(drawn[inside, columns] - expected[inside, columns]).mean() < 0.01
    assert np.abs(left[inside] - right[inside]).mean() > 0.05
    slider.send_keys("\ue014")  # →
    assert slider.get_attribute("value") == "1"
    assert "noisy" in slider.get_attribute("aria-valuetext")


def test_the_slider_is_dragged_on_the_image(tab: Any) -> None:
    resize(tab, 1280)
    seen(tab, ".stage")
    box = tab.execute_script(
        "const b = document.querySelector('.stage').getBoundingClientRect(); return [b.x, b.y, b.width]"
    )
    for kind, at in (("mousePressed", 0.5), ("mouseMoved", 0.7), ("mouseReleased", 0.7)):
        place = {"x": box[0] + at * box[2], "y": box[1] + 50, "button": "left", "buttons": 1, "clickCount": 1}
        tab.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, **place})
    value = int(tab.find_element("css selector", ".compare input").get_attribute("value"))
    assert abs(value - 70) <= 1


def test_another_patch_and_another_pair_are_shown(tab: Any) -> None:
    resize(tab, 1280)
    tab.find_element("css selector", ".compare input").send_keys("\ue010")
    noisy = seen(tab, ".stage")
    choose(tab, "pair", "denoised and truth")
    names = tab.execute_script("return [...document.querySelectorAll('.stage span')].map(s => s.textContent)")
    assert names == ["denoised", "truth"]
    median = seen(tab, ".stage")
    choose(tab, "patch", "worst")
    worst = seen(tab, ".stage")
    assert np.abs(noisy - median).mean() > 0.05
    assert np.abs(worst - median).mean() > 0.05
    sources = tab.execute_script(
        "return [document.querySelector('.stage .left').src,"
        " document.querySelectorAll('.example')[2].querySelectorAll('img')[1].src]"
    )
    assert sources[0] == sources[1]


@pytest.mark.parametrize("name", ["report", "comparison", "systems"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(tab: Any, pages: dict[str, str], width: int, name: str) -> None:
    resize(tab, width)
    tab.get(pages[name])
    tab.execute_script("for (const closed of document.querySelectorAll('details')) closed.open = true")
    assert tab.execute_script("return document.documentElement.scrollWidth") <= width
    beyond = tab.execute_script(
        "return [...document.body.querySelectorAll('*')].filter(e => !e.closest('.scroll') || e.matches('.scroll'))"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"
    )
    assert beyond == []


def test_dark_is_dark_and_its_charts_are_others(tab: Any, pages: dict[str, str]) -> None:
    def look(scheme: str) -> tuple[float, str]:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        tab.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        tab.get(pages["report"])
        source = tab.execute_script("return document.querySelector('#run-1-frc img').currentSrc")
        return float(seen(tab, "#run-1-frc").mean()), source

    light, of_light = look("light")
    dark, of_dark = look("dark")
    tab.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert light > 0.8
    assert dark < 0.3
    assert of_light != of_dark


def test_what_is_folded_is_printed(tab: Any) -> None:
    assert len(tab.print_page()) > 10_000
    assert tab.execute_script("return [...document.querySelectorAll('details')].every(d => d.open)")
