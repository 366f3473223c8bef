"""Networks of one's own: found, tried, and refused with a message that says what to mend."""

import hashlib
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cryodenoise.config.training import ImportedModel
from cryodenoise.errors import UserError
from cryodenoise.models import Network, choose, code_digest, code_folder, name_of, require_takes

NET = """
from torch import nn

def build(channels=4, sides=(3, 3)):
    first, second = sides
    return nn.Sequential(
        nn.Conv2d(1, channels, first, padding="same"), nn.ReLU(), nn.Conv2d(channels, 1, second, padding="same")
    )
"""

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_traces() -> Iterator[None]:
    """Leave Python's modules and paths as they were."""
    modules, paths = dict(sys.modules), list(sys.path)
    yield
    code_folder._loaded.clear()
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]
    sys.path[:] = paths


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes files of a folder of code and returns it."""

    def files(folder: str = "code", **contents: str) -> Path:
        for name, text in contents.items():
            path = tmp_path / folder / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / folder).mkdir(exist_ok=True)
        return tmp_path / folder

    return files


def own(function: str = "net:build", **arguments: Any) -> ImportedModel:
    return ImportedModel.model_validate({"import": function, "arguments": arguments})


def refusal(model: ImportedModel, code_dir: Path | None, *words: str) -> UserError:
    """The error with which a network is refused; its message begins with the place and holds the words."""
    with pytest.raises(UserError) as caught:
        choose(model, code_dir, "run/train.yaml: model")
    message = str(caught.value)
    assert message.startswith("run/train.yaml: model: ")
    assert not [word for word in words if word not in message], message
    return caught.value


def test_a_network_of_a_folder_is_built_with_its_arguments(write: Write) -> None:
    paths = list(sys.path)
    network = choose(own(channels=5), write(net=NET), "here")
    assert (network.name, network.multiple_px, network.receptive_field_px) == ("net:build", 1, None)
    assert name_of(own()) == "net:build"
    weights = network.build().state_dict()
    assert weights["0.weight"].shape == (5, 1, 3, 3)
    require_takes(network, (32, 48), "here")
    assert sys.path == paths


def test_choosing_and_trying_use_up_no_random_numbers(write: Write) -> None:
    code = write(net="import torch\ntorch.manual_seed(5)\n" + NET)
    torch.manual_seed(1)
    network = choose(own(), code, "here")
    require_takes(network, (16, 16), "here")
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), after)
    torch.manual_seed(7)
    first = network.build().state_dict()
    torch.manual_seed(7)
    assert all(torch.equal(value, first[name]) for name, value in network.build().state_dict().items())


def test_modules_of_a_package_may_import_each_other(write: Write) -> None:
    code = write(
        mine__in____init__="",
        mine__in__net="from .blocks import layer\nimport helper\nfrom torch import nn\n"
        "def build():\n    from . import late\n    import later\n    return nn.Sequential(layer(), layer())\n",
        mine__in__blocks="from torch import nn\ndef layer(): return nn.Conv2d(1, 1, 3, padding=1)\n",
        mine__in__late="",
        helper="",
        later="",
    )
    choose(own("mine.net:build"), code, "here").build()
    assert not list(code.rglob("__pycache__"))


def test_a_package_needs_no_init_file(write: Write) -> None:
    code = write(parts__in__net="from . import blocks\n" + NET, parts__in__blocks="")
    choose(own("parts.net:build"), code, "here").build()


def test_a_class_is_a_function_too(write: Write) -> None:
    code = write(net="from torch import nn\nclass Net(nn.Conv2d):\n    def __init__(self): super().__init__(1, 1, 1)\n")
    require_takes(choose(own("net:Net"), code, "here"), (8, 8), "here")


def test_a_network_of_an_installed_package_needs_no_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(write("site", installed=NET))
    for code in (None, write("empty")):
        choose(own("installed:build"), code, "here").build()


@pytest.mark.parametrize("earlier", ["other", "code"])
def test_code_that_was_changed_or_lies_elsewhere_is_imported_anew(write: Write, earlier: str) -> None:
    package = {"mine__in____init__": "", "mine__in__net": "from .blocks import build\n"}
    assert channels(choose(own("mine.net:build"), write(earlier, **package, mine__in__blocks=NET), "here")) == 4
    changed = write(**package, mine__in__blocks=NET.replace("channels=4", "channels=7"))
    assert channels(choose(own("mine.net:build"), changed, "here")) == 7


def test_code_of_a_folder_does_not_pass_for_an_installed_package(write: Write) -> None:
    choose(own(), write(net=NET), "here")
    refusal(own(), None, "no module net without a code_dir")


def channels(network: Network) -> int:
    return int(network.build().state_dict()["0.weight"].shape[0])


def test_the_same_code_is_imported_once(write: Write) -> None:
    code = write(net=NET)
    choose(own(), code, "here")
    first = sys.modules["net"]
    choose(own(), code, "here")
    assert sys.modules["net"] is first


@pytest.mark.parametrize("name", ["json", "random", "sys", "numpy"])
def test_a_module_named_like_one_that_is_loaded_is_refused(write: Write, name: str) -> None:
    refusal(own(f"{name}:build"), write(**{name: NET}), f"has a module {name}", "rename it")
    refusal(own(), write(net=NET), f"has a module {name}", "rename it")


def test_an_installed_package_does_not_hide_a_folder_without_init_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(write("site", hiding__in____init__="", hiding__in__net=NET))
    code = write(hiding__in__net=NET)
    refusal(own("hiding.net:build"), code, "site/hiding/net.py", str(code), "__init__.py")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for model in ("cnn3", own()):
        with pytest.raises(UserError, match=r"none: does not exist, expected the folder"):
            choose(model, tmp_path / "none", "here")
        with pytest.raises(UserError, match=r"file: is a file, expected the folder"):
            choose(model, tmp_path / "file", "here")


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UserError) as caught:
        choose("unett", None, "run/train.yaml: model")
    assert str(caught.value).startswith(
        "run/train.yaml: model: found 'unett', expected one of: cnn3, dncnn12, emdenoise, "
    )
    assert str(caught.value).endswith("did you mean 'unet'?")


@pytest.mark.parametrize("function", ["nets:build", "net.deep:build", "nets.net:build"])
def test_a_missing_module_is_refused_with_those_that_are_there(write: Write, function: str) -> None:
    code = write(net=NET, helper="")
    missing = {"net.deep:build": "net.deep"}.get(function, "nets")
    refusal(
        own(function), code, f"no module {missing} in {code}, which has helper, net, nor", "mend `import`", "code_dir"
    )


def test_a_missing_function_is_refused_with_those_that_are_there(write: Write) -> None:
    code = write(net=NET + "number = 3\n")
    refusal(own("net:bild"), code, str(code / "net.py"), "found 'bild', expected one of: build; did you mean 'build'?")
    refusal(own("net:number"), code, "found 'number', expected one of: build")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("import nothing_of_this_name\n", 1, "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def build(:\n", 1, "SyntaxError: invalid syntax"),
        ("\n\n1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('usage: net')\n", 2, "SystemExit: usage: net"),
        ("import torch\ntorch.ones(2) + torch.ones(3)\n", 2, "RuntimeError: The size of tensor a"),
        ("import torch\ndef build():\n    x = 1\n    return torch.nn.Conv2d(0, -1, 3)\n", 4, "RuntimeError"),
        ("def build():\n    raise ValueError\n", 2, "ValueError: mend"),
        ("def build():\n    raise ValueError('''first\n    second''')\n", 2, "ValueError: first: mend"),
    ],
)
def test_what_the_code_raises_is_told_with_its_line(write: Write, text: str, line: int, words: str) -> None:
    code = write(net=text)
    error = refusal(own(), code, f"{code / 'net.py'}, line {line}: {words}", "mend that code")
    assert "net.py" in "".join(traceback.format_exception(error))
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"chanels": 3},
            "got an unexpected keyword argument 'chanels', expected those of build(channels=4, sides=(3, 3))",
        ),
        ({"channels": "three"}, "TypeError"),
        ({"sides": [3]}, "ValueError: not enough values to unpack"),
    ],
)
def test_wrong_arguments_are_refused(write: Write, arguments: dict[str, Any], words: str) -> None:
    refusal(own(**arguments), write(net=NET), words)


def test_a_missing_argument_is_refused(write: Write) -> None:
    refusal(own(), write(net="def build(depth): pass\n"), "missing a required argument: 'depth'", "build(depth)")


def test_arguments_that_the_code_alters_are_the_same_the_next_time(write: Write) -> None:
    code = write(net=NET.replace("    first", "    sides[0] += 2\n    first"))
    network = choose(own(sides=[3, 3]), code, "here")
    assert network.build().state_dict()["0.weight"].shape == (4, 1, 5, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def build(): return 3\n", "gave int, expected a torch.nn.Module"),
        ("def build(): pass\n", "gave NoneType, expected a torch.nn.Module"),
        ("import torch\ndef build(): return torch.nn.ReLU()\n", "without trainable parameters"),
        ("import torch\ndef build(): return torch.nn.Conv2d(1, 1, 1).requires_grad_(False)\n", "without trainable"),
        ("import torch\nnet = torch.nn.Conv2d(1, 1, 1)\ndef build(): return net\n", "the same weights twice"),
        ("import torch\nl = torch.nn.Conv2d(1, 1, 1)\ndef build(): return torch.nn.Sequential(l)\n", "same weights"),
        ("import torch\ndef build(): return torch.nn.LazyConv2d(1, 1)\n", "weight cannot be saved"),
    ],
)
def test_what_cannot_be_trained_is_refused(write: Write, text: str, words: str) -> None:
    if "Lazy" in text:
        text = "import warnings\nwarnings.simplefilter('ignore')\n" + text
    refusal(own(), write(net=text), "net:build", words)


FORWARD = """
import torch
class Net(torch.nn.Conv2d):
    def forward(self, images):
        return {}
def build(): return Net(1, 1, 1)
"""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            "super().forward(images)[:, :, 1:]",
            "gave torch.float32 of shape (1, 1, 11, 16), expected floats of that shape",
        ),
        ("super().forward(images)[0]", "of shape (1, 12, 16)"),
        ("images > 0", "gave torch.bool"),
        ("images.log()", "not finite"),
        ("(images, images)", "gave tuple, expected a tensor"),
        ("super().forward(images.double())", "net.py, line 5: RuntimeError"),
        ("images.reshape(7)", "net.py, line 5: RuntimeError: shape '[7]' is invalid"),
    ],
)
def test_what_maps_no_image_to_an_image_is_refused(write: Write, value: str, words: str) -> None:
    network = choose(own(), write(net=FORWARD.format(value)), "here")
    with pytest.raises(UserError) as caught:
        require_takes(network, (12, 16), "run/train.yaml: model")
    assert str(caught.value).startswith(
        "run/train.yaml: model: net:build, given a float32 sample of shape (1, 1, 12, 16), "
    )
    assert words in str(caught.value)


def test_a_network_that_normalises_by_the_sample_is_taken(write: Write) -> None:
    code = write(net=FORWARD.format("super().forward((images - images.mean()) / images.std())"))
    require_takes(choose(own(), code, "here"), (8, 8), "here")


def test_the_digest_is_of_names_and_contents_of_python_files(write: Write) -> None:
    code = write(net=NET, mine__in__blocks="a = 1\n")
    first = code_digest(code)
    for name in ("notes.txt", ".hidden/net.py", "mine/__pycache__/blocks.py", "mine/.venv/a.py"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("b = 2\n")
    assert code_digest(code) == first
    shutil.copytree(code, code.parent / "copy")
    assert code_digest(code.parent / "copy") == first
    seen = {first}
    changes: tuple[Callable[[], Path], ...] = (
        lambda: write(mine__in__blocks="a = 2\n"),
        lambda: (code / "mine/blocks.py").rename(code / "mine/parts.py"),
        lambda: (code / "mine/parts.py").rename(code / "parts.py"),
        lambda: write(more=""),
    )
    for change in changes:
        change()
        assert code_digest(code) not in seen
        seen.add(code_digest(code))


def test_the_digest_is_what_the_formats_say(write: Write) -> None:
    code = write(b="", a__in__c="1\n")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    one = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
    text = f'{{"a/c.py":"{one}","b.py":"{empty}"}}'
    assert code_digest(code) == hashlib.sha256(text.encode()).hexdigest()
    assert code_digest(None) == code_digest(write("nothing")) == hashlib.sha256(b"{}").hexdigest()


def test_the_digest_follows_links_but_not_in_circles(write: Write, tmp_path: Path) -> None:
    code, elsewhere = write(net=NET), write("elsewhere", blocks="a = 1\n")
    (code / "linked").symlink_to(elsewhere)
    (code / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (elsewhere / "back").symlink_to(code)
    first = code_digest(code)
    write("elsewhere", blocks="a = 2\n")
    assert code_digest(code) != first
    with pytest.raises(UserError, match="does not exist"):
        code_digest(tmp_path / "none")
