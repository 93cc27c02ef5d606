"""The page of a model card shows the texts of other people's files as texts."""

import pytest

from kerasvid.export.model_card import as_markdown

FORGED = "CC0\n\n# Licence: none <script>alert(1)</script> [free](http://x) | `"
SHOWN = r"CC0 # Licence: none &lt;script>alert(1)&lt;/script> \[free\](http://x) \| \`"


@pytest.mark.parametrize("key", ["name", "version", "licence", "source", "citation", "classes"])
def test_texts_of_a_data_set_make_no_heading_and_no_html(key):
    data = {"name": "a", "version": "1", "videos": {"train": 3}, "classes": ["b"]}
    data[key] = [FORGED] if key == "classes" else FORGED
    card = {
        "name": "rjvae",
        "summary": "A model.",
        **dict.fromkeys(("model", "preset", "paper", "parameters", "frame_shape", "exported")),
        "software": {"python": "3.11"},
        "weights": {"run": FORGED},
        "training": {"steps": 3},
        "data": data,
        "metrics": {FORGED: 1.5},
        "rows": "one by one",
        "signatures": {},
        "documentation": "A model.",
    }
    page = as_markdown(card)
    assert "<" not in page and "# Licence" not in [line[:9] for line in page.splitlines()]
    assert f"- {key.capitalize()}: {SHOWN}" in page and f"- Run: {SHOWN}" in page
    assert f"| {SHOWN} " in page and "- Videos: train 3" in page
