import pytest

from kerasvid.models.navsynth_presets import PRESETS, RECIPES


@pytest.mark.parametrize(("name", "videos"), [("paper", 1476), ("weizmann", 80), ("golf", 500)])
def test_a_published_recipe_ends_with_its_last_stage(name, videos):
    epochs = sum(PRESETS[name]["stages"].values())
    recipe = RECIPES[name]
    left = epochs * videos - recipe.steps * recipe.batch_size
    assert 0 <= left < recipe.batch_size
