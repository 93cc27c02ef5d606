"""The JavaScript modules of both pages import one another without a circle."""

import graphlib
import importlib.resources
import re

import pytest

PAGES = ("kerasvid.export.web/static", "kerasvid.comparison/page")
IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']\./([^"']+)["']""")


def imports_of(page: str) -> dict[str, set[str]]:
    """The modules that each JavaScript file of a page imports, by name."""
    package, _, folder = page.partition("/")
    files = importlib.resources.files(package).joinpath(folder).iterdir()
    return {
        file.name: set(IMPORTED.findall(file.read_text("utf-8")))
        for file in files
        if file.name.endswith(".js")
    }


@pytest.mark.parametrize("page", PAGES)
def test_modules_import_in_one_direction(page):
    imports = imports_of(page)
    assert imports
    order = list(graphlib.TopologicalSorter(imports).static_order())  # fails on a circle
    assert set(imports) <= set(order)


def test_imports_are_found():
    imports = imports_of(PAGES[0])
    assert {"endpoints.js", "images.js", "state.js"} <= imports["main.js"]
    assert "gif.js" in imports["images.js"]
    static = importlib.resources.files("kerasvid.export.web").joinpath("static")
    named = {
        name for names in imports.values() for name in names if not name.startswith("runtime/")
    }
    assert all(static.joinpath(name).is_file() for name in named)
